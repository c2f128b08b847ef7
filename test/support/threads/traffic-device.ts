/**
 * A device on which packets arrive without end: numbered UDP datagrams of many flows, written directly into the
 * buffers, as many per burst as the test says. For long runs: what is sent is checked and not kept.
 */
import { FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { FakeDevice, type FakeDeviceOptions } from '../../../src/testing/fake-device.js';
import { flowPacket } from '../link/frames.js';

/** From the beginning of the frame: source port of the datagram, and the number in it, after its header. */
const PORT = 34;
const NUMBER = 42;

export class TrafficDevice extends FakeDevice {
  /** Packets that arrive with the next bursts. */
  left = 0;
  /** Packets that have arrived, and that were sent again. */
  came = 0;
  echoed = 0;
  /** Packets of a flow that were sent in another order than they arrived in. */
  reordered = 0;
  private readonly frame = flowPacket(0, 0);
  private readonly next: Float64Array;
  private readonly last: Float64Array;
  private flow = 0;

  constructor(
    options: FakeDeviceOptions,
    private readonly flows: number,
  ) {
    super({ ...options, quiet: true });
    this.next = new Float64Array(flows);
    this.last = new Float64Array(flows).fill(-1);
  }

  /** What is out of order from now on is expected: its flow has moved to another core. */
  forgetOrder(): void {
    this.last.fill(-1);
  }

  override rxBurst(max: number): number {
    const { rxHandles: handles, rxLengths: lengths } = this;
    if (!this.isUp) return 0;
    const { memory, pool, frame, next, flows } = this;
    const { u8 } = memory;
    const count = Math.min(max, this.left, pool.available);
    for (let i = 0; i < count; i++) {
      const handle = pool.get();
      const at = pool.offsetOf(handle) + FRAME_OFFSET;
      const { flow } = this;
      u8.set(frame, at);
      u8[at + PORT] = flow >>> 8;
      u8[at + PORT + 1] = flow & 0xff;
      const number = next[flow]!++ >>> 0;
      memory.u16[(at + NUMBER) >>> 1] = number & 0xffff;
      memory.u16[(at + NUMBER + 2) >>> 1] = number >>> 16;
      this.flow = flow + 1 === flows ? 0 : flow + 1;
      handles[i] = handle;
      lengths[i] = frame.length;
    }
    this.left -= count;
    this.came += count;
    return count;
  }

  override txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const taken = super.txBurst(handles, lengths, count);
    const { u8, u16 } = this.memory;
    for (let i = 0; i < taken; i++) {
      if (lengths[i] !== this.frame.length) continue;
      const at = this.pool.offsetOf(handles[i]!) + FRAME_OFFSET;
      const flow = (u8[at + PORT]! << 8) | u8[at + PORT + 1]!;
      const number = u16[(at + NUMBER) >>> 1]! + u16[(at + NUMBER + 2) >>> 1]! * 65536;
      if (number <= this.last[flow]!) this.reordered++;
      this.last[flow] = number;
      this.echoed++;
    }
    return taken;
  }
}
