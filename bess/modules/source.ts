/** Source: packets without content, as fast as they are taken (BESS: source.cc). */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { BessError } from '../errors.js';
import { Batch } from './batch.js';
import { Module, type Task } from './module.js';

/** The most bytes of a packet that BESS's buffers hold (SNBUF_DATA). */
const MAX_PACKET_BYTES = 2048;
const DEFAULT_PACKET_BYTES = 60;

/** The frame that all Sources send: zeros, which nobody writes. */
function zeros(): MemoryViews {
  const buffer = new SharedArrayBuffer(MAX_PACKET_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

/** EINVAL, unless a task can take so many packets at once. */
export function checkBurst(burst: number): number {
  if (Number.isInteger(burst) && burst >= 0 && burst <= MAX_BURST) return burst;
  throw new BessError('EINVAL', `burst size must be [0,${MAX_BURST}]`);
}

export class Source extends Module implements Task {
  override readonly className = 'Source';
  override readonly inputGates = 0;
  override readonly tasks: Task[] = [this];
  readonly source = null;
  /** Packets made here. */
  generated = 0;
  private packetBytes = DEFAULT_PACKET_BYTES;
  private packetsAtOnce = MAX_BURST;
  private readonly burst = new PacketBurst(zeros());
  private readonly batch = new Batch();

  /** @param packetBytes 1 to 2048; 0 for the default of 60 */
  constructor(name: string, packetBytes = 0) {
    super(name);
    if (packetBytes !== 0) this.setPacketSize(packetBytes);
  }

  setPacketSize(bytes: number): void {
    if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= MAX_PACKET_BYTES)) {
      throw new BessError('EINVAL', `Invalid packet size ${bytes}: possible are 1 to ${MAX_PACKET_BYTES} bytes`);
    }
    this.packetBytes = bytes;
  }

  setBurst(packets: number): void {
    this.packetsAtOnce = checkBurst(packets);
  }

  run(): number {
    const count = this.packetsAtOnce;
    if (count === 0) return 0;
    this.burst.clear();
    for (let i = 0; i < count; i++) this.burst.push(0, this.packetBytes);
    this.batch.takeAll(this.burst);
    this.generated += count;
    this.emit(0, this.batch);
    return count;
  }
}
