/**
 * A device whose peer sends everything back: numbered frames of many lengths, each checked byte for byte when it
 * returns.
 */
import type { VirtioNetDevice } from '../../../drivers/virtio/virtio-net-device.js';
import { ETHERNET_HEADER_BYTES, FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, FLAGS, LAST, LENGTH, NEXT, START } from '../../../rings/packet-table.js';
import { until } from '../until.js';

const BURST = 32;
/** At most as many are under way as the ring of either side holds: a peer drops what it cannot send. */
const UNDER_WAY = 64;
const LEAST = 60;
const STATIONS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];
const SWAPPED = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];

export class EchoCheck {
  sent = 0;
  received = 0;
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);
  private readonly longest: number;
  private readonly stations: readonly number[];

  /** @param swapped whether the addresses come back exchanged, as from testpmd's macswap */
  constructor(
    private readonly device: VirtioNetDevice,
    swapped = true,
  ) {
    this.longest = ETHERNET_HEADER_BYTES + device.mtu;
    this.stations = swapped ? SWAPPED : STATIONS;
  }

  /**
   * Frame `n`: its number, and bytes that depend on the number and on their place. The length depends on the number,
   * too.
   */
  private frame(n: number, stations: readonly number[]): Uint8Array {
    const frame = new Uint8Array(LEAST + ((n * 37) % (this.longest - LEAST + 1)));
    for (let i = ETHERNET_HEADER_BYTES; i < frame.length; i++) frame[i] = (n + i * 7) & 0xff;
    frame.set(stations);
    new DataView(frame.buffer).setUint32(ETHERNET_HEADER_BYTES, n);
    return frame;
  }

  /** Sends as many of the next frames as the ring takes and as may be under way. */
  send(most = BURST): void {
    const { device, handles, lengths } = this;
    const wanted = Math.min(BURST, most, UNDER_WAY - (this.sent - this.received));
    let count = 0;
    for (; count < wanted; count++) {
      const handle = device.pool.get();
      if (handle === NO_BUFFER) break;
      const frame = this.frame(this.sent + count, STATIONS);
      device.memory.u8.set(frame, device.pool.offsetOf(handle) + FRAME_OFFSET);
      handles[count] = handle;
      lengths[count] = frame.length;
    }
    const taken = count === 0 ? 0 : device.txBurst(handles, lengths, count);
    for (let i = taken; i < count; i++) device.pool.put(handles[i]!);
    this.sent += taken;
  }

  /** Receives a burst: the frames as they were sent, in order. Returns how many; throws if a frame is different. */
  receive(): number {
    const { device } = this;
    const { rxHandles: handles, rxLengths: lengths } = device;
    const count = device.rxBurst(BURST);
    for (let i = 0; i < count; i++) {
      const found = this.content(handles[i]!, lengths[i]!);
      const frame = this.frame(this.received, this.stations);
      if (Buffer.compare(frame, found) !== 0) throw new Error(`frame ${this.received} is not what came back`);
      if (device.offloads === 0) device.pool.put(handles[i]!);
      else device.table.free(handles[i]!, device.pool);
      this.received++;
    }
    return count;
  }

  /** The bytes of a received frame. A device with offloads may have used several buffers for it. */
  private content(handle: number, length: number): Uint8Array {
    const { device } = this;
    const { u8 } = device.memory;
    const { words } = device.table;
    const first = device.pool.offsetOf(handle) + FRAME_OFFSET;
    const parts = [u8.subarray(first, first + length)];
    const isChain = device.offloads !== 0 && (words[(handle << ENTRY_SHIFT) + FLAGS]! & CHAIN) !== 0;
    if (!isChain) return parts[0]!;
    for (let part = words[(handle << ENTRY_SHIFT) + NEXT]!; part !== LAST; ) {
      const entry = part << ENTRY_SHIFT;
      const at = device.pool.offsetOf(part) + words[entry + START]!;
      parts.push(u8.subarray(at, at + words[entry + LENGTH]!));
      part = words[entry + NEXT]!;
    }
    return Buffer.concat(parts);
  }

  /** Sends `frames` more, and waits until all are back. */
  async run(frames: number): Promise<void> {
    const goal = this.sent + frames;
    await until(
      `frames ${this.received} to ${goal - 1} come back`,
      () => this.received === goal,
      () => {
        this.send(goal - this.sent);
        this.receive();
      },
    );
    this.device.reclaimTx();
  }
}
