/**
 * IPEncap: puts an IPv4 header in front of packets (BESS: ip_encap.cc; RFC 791): no options, time to live 64, "don't
 * fragment", so its identification is 0 (RFC 6864, 4.1).
 */
import { IPV4_BYTES, TYPE_IPV4 } from '../../../drivers/virtio/header-fields.js';
import type { Batch } from '../batch.js';
import type { Attribute, Metadata } from '../metadata/attribute.js';
import { EncapModule } from './encap-module.js';
import type { HeaderMemory } from './header-memory.js';
import { Reason } from './tunnel-module.js';
import { MAX_IPV4_BYTES, swapped } from './vxlan.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = IPV4_BYTES;
const LONGEST = MAX_IPV4_BYTES - IPV4_BYTES;
// Words and halves of the header as they lie in memory.
/** Version 4, 5 words, type of service 0. */
const FIRST_HALF = 0x0045;
const DONT_FRAGMENT_WORD = 0x40 << 16;
const TIME_TO_LIVE = 64;
const ETHER_TYPE = swapped(TYPE_IPV4);

export class IpEncap extends EncapModule {
  override readonly className = 'IPEncap';
  override readonly reads: readonly Attribute[];
  override readonly writes: readonly Attribute[];
  private readonly source: Int32Array;
  private readonly destination: Int32Array;
  private readonly protocol: Int32Array;
  private readonly nextHop: Attribute;
  private readonly etherType: Attribute;

  constructor(name: string, metadata: Metadata, memory: HeaderMemory) {
    super(name, memory, HEADER_BYTES);
    this.reads = [
      ...['ip_src', 'ip_dst'].map((each) => metadata.attribute(each, 4)),
      metadata.attribute('ip_proto', 1),
    ];
    this.writes = [metadata.attribute('ip_nexthop', 4), metadata.attribute('ether_type', 2)];
    [this.source, this.destination, this.protocol] = this.reads.map(({ words }) => words);
    [this.nextHop, this.etherType] = this.writes;
  }

  protected override encapsulate(batch: Batch): void {
    const { out, source, destination, protocol } = this;
    const nextHop = this.nextHop.write();
    const etherType = this.etherType.write();
    const { burst, indices, count } = out.begin(batch);
    const { u32 } = out.memory;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      const length = burst.length[packet];
      if (length > LONGEST) {
        this.drop(batch, packet, Reason.tooLong);
        continue;
      }
      const bytes = swapped(length + HEADER_BYTES);
      const life = TIME_TO_LIVE | ((protocol[packet] & 0xff) << 8);
      const from = source[packet];
      const to = destination[packet];
      // The halves as they lie in memory (RFC 1071, 2 B): their byte order does not matter.
      let sum = FIRST_HALF + bytes + (DONT_FRAGMENT_WORD >>> 16) + life;
      sum += (from & 0xffff) + (from >>> 16) + (to & 0xffff) + (to >>> 16);
      sum = (sum & 0xffff) + (sum >>> 16);
      sum = (sum & 0xffff) + (sum >>> 16);
      const word = out.add(packet) >>> 2;
      u32[word] = FIRST_HALF | (bytes << 16);
      u32[word + 1] = DONT_FRAGMENT_WORD;
      u32[word + 2] = life | (~sum << 16);
      u32[word + 3] = from;
      u32[word + 4] = to;
      nextHop[packet] = to;
      etherType[packet] = ETHER_TYPE;
    }
    if (out.finish() > 0) this.emit(0, out.batch);
  }
}
