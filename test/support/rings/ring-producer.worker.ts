/** A producer on its own thread: sends numbered packets, and blocks instead of spinning. */
import { workerData } from 'node:worker_threads';
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { handleOf, lengthOf, type RingWork } from './ring-worker-data.js';

const { buffer, capacity, backOffset, total, burst, byFans } = workerData as RingWork;
const ring = new SpscRing(buffer, 0, capacity);
// The consumer returns a packet for every burst that it took: the producer sleeps until then while the ring is full.
const back = new SpscRing(buffer, backOffset, capacity);
const handles = new Uint32Array(burst);
const lengths = new Uint32Array(burst);
const news = new Uint32Array(capacity);

const fan = new SpscFanOut([ring]);

/** As {@link SpscRing.enqueueBurst}. */
function stageBurst(from: number, count: number): number {
  const n = Math.min(count, fan.allow(0, capacity));
  for (let i = from; i < from + n; i++) fan.stage(0, handles[i]!, lengths[i]!);
  return fan.publish(0);
}

let sent = 0;
while (sent < total) {
  const count = Math.min(burst, total - sent);
  for (let i = 0; i < count; i++) {
    handles[i] = handleOf(sent + i);
    lengths[i] = lengthOf(sent + i);
  }
  let from = 0;
  while (from < count) {
    const left = count - from;
    const accepted = byFans ? stageBurst(from, left) : ring.enqueueBurst(handles, lengths, from, left);
    from += accepted;
    if (accepted > 0 && ring.consumerSleeps()) ring.wakeConsumer();
    if (from === count) break;
    // A wake-up may come late and end a later sleep early: only the time counts, not the end of one sleep.
    const deadline = performance.now() + 5000;
    while (!back.waitForItems(5000)) {
      if (performance.now() > deadline) throw new Error(`ring full for 5 s after ${sent + from} packets`);
    }
    back.dequeueBurst(news, news, capacity);
  }
  sent += count;
}
