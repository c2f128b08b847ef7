/** Source: makes packets of zeros as fast as the pipeline takes them (BESS: source.cc). */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { BessError } from '../errors.js';
import { Batch } from './batch.js';
import { Module, type Task } from './module.js';

/** The longest packet that BESS's buffers hold, in bytes (SNBUF_DATA). */
const MAX_PACKET_BYTES = 2048;
const DEFAULT_PACKET_BYTES = 60;

/** Makes the memory of the packets that a Source sends. All packets of the Source are the same bytes. */
function zeros(): MemoryViews {
  const buffer = new SharedArrayBuffer(MAX_PACKET_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

/** Returns `burst` if a task can take so many packets at once: 0 to 32. Throws EINVAL otherwise. */
export function checkBurst(burst: number): number {
  if (Number.isInteger(burst) && burst >= 0 && burst <= MAX_BURST) return burst;
  throw new BessError('EINVAL', `burst size must be [0,${MAX_BURST}]`);
}

export class Source extends Module implements Task {
  override readonly className = 'Source';
  override readonly inputGates = 0;
  override readonly tasks: Task[] = [this];
  readonly source = null;
  /** Packets that this module made. */
  generated = 0;
  private packetBytes = DEFAULT_PACKET_BYTES;
  private packetsAtOnce = MAX_BURST;
  private readonly burst = new PacketBurst(zeros());
  private readonly batch = new Batch();

  /** @param packetBytes length of each packet in bytes, 1 to 2048; 0: the default, 60 */
  constructor(name: string, packetBytes = 0) {
    super(name);
    if (packetBytes !== 0) this.setPacketSize(packetBytes);
  }

  /** Sets the length of each packet: 1 to 2048 bytes, otherwise EINVAL. */
  setPacketSize(bytes: number): void {
    if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= MAX_PACKET_BYTES)) {
      throw new BessError('EINVAL', `Invalid packet size ${bytes}: it must be 1 to ${MAX_PACKET_BYTES} bytes`);
    }
    this.packetBytes = bytes;
  }

  /** Sets how many packets the task makes at once: 0 to 32, otherwise EINVAL. */
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
    this.capture.source = this.capture.generated;
    this.emit(0, this.batch);
    return count;
  }
}
