/** The clocks of the kernel. Reading one allocates nothing, while `performance.now` leaves 16 bytes behind on Node 20. */
import * as c from './constants.js';
import { native } from './ffi/native.js';

/** A struct timespec: seconds, of which 32 bits are enough, and nanoseconds. */
const time = new Uint32Array(new ArrayBuffer(16));
const bytes = new Uint8Array(time.buffer);

/** Time in ms, monotonic, from the same start in all processes. It is not the one of `performance.now`. */
export function monotonicMs(): number {
  return read(c.CLOCK_MONOTONIC);
}

/** CPU time that the calling thread has used so far, in user mode and in the kernel, in ms. */
export function threadCpuMs(): number {
  return read(c.CLOCK_THREAD_CPUTIME_ID);
}

function read(clock: number): number {
  native.clockGettime(clock, bytes);
  return time[0] * 1000 + time[2] / 1e6;
}
