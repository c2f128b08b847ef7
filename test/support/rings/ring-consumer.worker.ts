/** A consumer on its own thread: checks what the producer sends, and reports the first packet that is wrong. */
import { parentPort, workerData } from 'node:worker_threads';
import { SpscFanIn } from '../../../rings/spsc-fan-in.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { handleOf, lengthOf, type RingReport, type RingWork, untilMoved } from './ring-worker-data.js';

const { buffer, capacity, total, burst, byFans } = workerData as RingWork;
const ring = new SpscRing(buffer, 0, capacity);
const handles = new Uint32Array(burst);
const lengths = new Uint32Array(burst);
const fan = new SpscFanIn([ring]);

function take(): number {
  if (!byFans) return ring.dequeueBurst(handles, lengths, burst);
  return fan.looksEmpty(0) ? 0 : fan.dequeueBurst(0, handles, lengths, burst);
}

function consume(): RingReport {
  let received = 0;
  while (received < total) {
    const count = untilMoved(take);
    if (count === 0) return { received, error: 'the ring stayed empty' };
    for (let i = 0; i < count; i++) {
      const expected = received + i;
      if (handles[i] !== handleOf(expected) || lengths[i] !== lengthOf(expected)) {
        return { received, error: `(${handles[i]}, ${lengths[i]}) in place of packet ${expected}` };
      }
    }
    received += count;
  }
  return { received, error: '' };
}

parentPort?.postMessage(consume());
