/**
 * VXLANEncap: puts the headers of UDP and VXLAN in front of frames (BESS: vxlan_encap.cc; RFC 7348). IPEncap and
 * EtherEncap put theirs before them.
 *
 * The UDP source port comes from a hash of the inner flow, so that routers spread flows over paths and network cards over
 * queues. The UDP checksum is 0.
 */
import { IPV4_BYTES, PROTOCOL_UDP } from '../../../drivers/virtio/header-fields.js';
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { BessError } from '../../errors.js';
import type { Batch } from '../batch.js';
import type { Attribute, Metadata } from '../metadata/attribute.js';
import { EncapModule } from './encap-module.js';
import type { HeaderMemory } from './header-memory.js';
import { InnerFrame } from './inner-frame.js';
import { Reason } from './tunnel-module.js';
import { MAX_IPV4_BYTES, swapped, VXLAN_BYTES, VXLAN_HAS_VNI, VXLAN_PORT } from './vxlan.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = VXLAN_BYTES;
const LONGEST = MAX_IPV4_BYTES - IPV4_BYTES - VXLAN_BYTES;
const SHORTEST = ETHERNET_HEADER_BYTES;
/** The word of the VXLAN header that has the flags, as it lies in memory. */
const FLAGS_WORD = VXLAN_HAS_VNI;
const UDP = PROTOCOL_UDP;
/** The ports that nobody owns are 49152 to 65535 (RFC 6335). */
const PRIVATE_PORTS = 0xc000;
const MAX_PORT = 65_535;

export class VxlanEncap extends EncapModule {
  override readonly className = 'VXLANEncap';
  override readonly reads: readonly Attribute[];
  override readonly writes: readonly Attribute[];
  private readonly tunnelSource: Int32Array;
  private readonly tunnelDestination: Int32Array;
  private readonly tunnelId: Int32Array;
  private readonly ipSource: Attribute;
  private readonly ipDestination: Attribute;
  private readonly ipProtocol: Attribute;
  private readonly inner = new InnerFrame();
  private readonly port: number;

  /** @param port UDP port of the receivers; 0: 4789. Throws EINVAL above 65535 */
  constructor(name: string, metadata: Metadata, memory: HeaderMemory, port = 0) {
    super(name, memory, HEADER_BYTES);
    if (port > MAX_PORT) throw new BessError('EINVAL', "invalid 'dstport' field");
    this.port = port === 0 ? VXLAN_PORT : port;
    this.reads = ['tun_ip_src', 'tun_ip_dst', 'tun_id'].map((each) => metadata.attribute(each, 4));
    this.writes = [
      ...['ip_src', 'ip_dst'].map((each) => metadata.attribute(each, 4)),
      metadata.attribute('ip_proto', 1),
    ];
    [this.tunnelSource, this.tunnelDestination, this.tunnelId] = this.reads.map(({ words }) => words);
    [this.ipSource, this.ipDestination, this.ipProtocol] = this.writes;
  }

  override describe(): string {
    return `port ${this.port}`;
  }

  protected override encapsulate(batch: Batch): void {
    const { out, inner, port, tunnelSource, tunnelDestination, tunnelId } = this;
    const ipSource = this.ipSource.write();
    const ipDestination = this.ipDestination.write();
    const ipProtocol = this.ipProtocol.write();
    const { burst, indices, count } = out.begin(batch);
    const { u32 } = out.memory;
    const destination = swapped(port) << 16;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      const length = burst.length[packet];
      if (length < SHORTEST || length > LONGEST) {
        this.drop(batch, packet, length < SHORTEST ? Reason.truncated : Reason.tooLong);
        continue;
      }
      inner.read(burst, packet, port);
      if (inner.isVxlan) {
        this.drop(batch, packet, Reason.nested);
        continue;
      }
      const word = out.add(packet) >>> 2;
      u32[word] = swapped(PRIVATE_PORTS | (inner.hash >>> 18)) | destination;
      u32[word + 1] = swapped(length + HEADER_BYTES);
      u32[word + 2] = FLAGS_WORD;
      // tun_id has the VNI in its last three bytes; here they are the first three.
      u32[word + 3] = tunnelId[packet] >>> 8;
      ipSource[packet] = tunnelSource[packet];
      ipDestination[packet] = tunnelDestination[packet];
      ipProtocol[packet] = UDP;
    }
    if (out.finish() > 0) this.emit(0, out.batch);
  }
}
