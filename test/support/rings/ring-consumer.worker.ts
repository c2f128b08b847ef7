/** A consumer on its own thread: checks what the producer sends, and reports the first packet that is wrong. */
import { parentPort, workerData } from 'node:worker_threads';
import { SpscFanIn } from '../../../rings/spsc-fan-in.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { handleOf, lengthOf, type RingReport, type RingWork } from './ring-worker-data.js';

const { buffer, capacity, backOffset, total, burst, byFans } = workerData as RingWork;
const ring = new SpscRing(buffer, 0, capacity);
const back = new SpscRing(buffer, backOffset, capacity);
const handles = new Uint32Array(burst);
const lengths = new Uint32Array(burst);
const news = new Uint32Array(1);
const fan = new SpscFanIn([ring]);

function consume(): RingReport {
  let received = 0;
  while (received < total) {
    const isEmpty = byFans && fan.looksEmpty(0);
    const count = isEmpty
      ? 0
      : byFans
        ? fan.dequeueBurst(0, handles, lengths, burst)
        : ring.dequeueBurst(handles, lengths, burst);
    if (count === 0) {
      // As in the producer: a wake-up may come late and end a later sleep early.
      const deadline = performance.now() + 5000;
      while (!ring.waitForItems(5000)) {
        if (performance.now() > deadline) return { received, error: 'nothing for 5 s' };
      }
      continue;
    }
    for (let i = 0; i < count; i++) {
      const expected = received + i;
      if (handles[i] !== handleOf(expected) || lengths[i] !== lengthOf(expected)) {
        return { received, error: `(${handles[i]}, ${lengths[i]}) in place of packet ${expected}` };
      }
    }
    received += count;
    back.enqueueBurst(news, news, 0, 1);
    if (back.consumerSleeps()) back.wakeConsumer();
  }
  return { received, error: '' };
}

parentPort?.postMessage(consume());
