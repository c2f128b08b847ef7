/** A producer on its own thread: sends numbered packets. */
import { workerData } from 'node:worker_threads';
import { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { handleOf, lengthOf, type RingWork, untilMoved } from './ring-worker-data.js';

const { buffer, capacity, total, burst, byFans } = workerData as RingWork;
const ring = new SpscRing(buffer, 0, capacity);
const handles = new Uint32Array(burst);
const lengths = new Uint32Array(burst);
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
  for (let from = 0; from < count; ) {
    const left = count - from;
    const accepted = untilMoved(() =>
      byFans ? stageBurst(from, left) : ring.enqueueBurst(handles, lengths, from, left),
    );
    if (accepted === 0) throw new Error(`the ring stayed full after ${sent + from} packets`);
    from += accepted;
  }
  sent += count;
}
