/** EtherEncap: puts an Ethernet header in front of packets (BESS: ether_encap.cc). */
import type { PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { MAX_FRAME_BYTES } from '../../../drivers/virtio/device/tx-queue.js';
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { CHECKSUM_PARTIAL } from '../../../rings/packet-table.js';
import type { Batch } from '../batch.js';
import type { Attribute, Metadata } from '../metadata/attribute.js';
import { EncapModule } from './encap-module.js';
import type { HeaderMemory } from './header-memory.js';
import { Reason } from './tunnel-module.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = ETHERNET_HEADER_BYTES;
const LONGEST = MAX_FRAME_BYTES - HEADER_BYTES;
/** The last place at which a partial checksum may begin: behind the header it must fit 16 bits. */
const LAST_START = 0xffff - HEADER_BYTES;

export class EtherEncap extends EncapModule {
  override readonly className = 'EtherEncap';
  override readonly reads: readonly Attribute[];
  private readonly source: Int32Array;
  private readonly destination: Int32Array;
  private readonly type: Int32Array;

  constructor(name: string, metadata: Metadata, memory: HeaderMemory) {
    super(name, memory, HEADER_BYTES);
    const addresses = ['ether_src', 'ether_dst'].map((each) => metadata.attribute(each, 6));
    this.reads = [...addresses, metadata.attribute('ether_type', 2)];
    [this.source, this.destination, this.type] = this.reads.map(({ words }) => words);
  }

  protected override encapsulate(batch: Batch): void {
    const { out, source, destination, type } = this;
    const { burst, indices, count } = out.begin(batch);
    const { u16, u32 } = out.memory;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      if (burst.length[packet] > LONGEST || (burst.offloaded !== 0 && startsTooLate(burst, packet))) {
        this.drop(batch, packet, Reason.tooLong);
        continue;
      }
      // The header begins 2 bytes before a word, so the half goes first. An address of 6 bytes has two words.
      const at = out.add(packet);
      const word = (at + 2) >>> 2;
      const address = packet << 1;
      const head = destination[address];
      u16[at >>> 1] = head;
      u32[word] = (head >>> 16) | (destination[address + 1] << 16);
      u32[word + 1] = source[address];
      u32[word + 2] = (source[address + 1] & 0xffff) | (type[packet] << 16);
    }
    if (out.finish() > 0) this.emit(0, out.batch);
  }
}

/** Whether the partial checksum of a packet, if it has one, would begin too far behind. */
function startsTooLate({ flags, csumStart }: PacketBurst, packet: number): boolean {
  return (flags[packet] & CHECKSUM_PARTIAL) !== 0 && csumStart[packet] > LAST_START;
}
