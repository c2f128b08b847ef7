/** What travels on the paths of a simulation, line by line as tcpdump lists it: to find out why a run has failed. */

import { formatIpv4 } from '../../../../src/wire/address.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4, ethType } from '../../../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  isIpv4Fragment,
} from '../../../../src/wire/ipv4.js';
import { TCP_SYN, tcpDestinationPort, tcpFlags, tcpSequence, tcpSourcePort } from '../../../../src/wire/tcp.js';
import { decodeSegment } from '../script/segment-bytes.js';
import { formatSegment } from '../script/segment-text.js';
import type { Path } from './path.js';
import type { Simulation } from './simulation.js';

/** Notes every frame of a simulation from now on. */
export class Trace {
  readonly lines: string[] = [];
  /** ISS of each end of each connection that has sent a SYN. */
  private readonly firsts = new Map<string, number>();

  /** @param most lines that are kept: the last ones */
  constructor(
    private readonly sim: Simulation,
    private readonly most = 2000,
  ) {
    sim.watch = (path, frame, length, fate) => this.note(path, frame.slice(0, length), fate);
  }

  toString(): string {
    return this.lines.join('\n');
  }

  private note(path: Path, frame: Uint8Array, fate: string): void {
    const what = ethType(frame, 0) === ETHERTYPE_IPV4 ? this.describe(frame.slice(ETH_HEADER_BYTES)) : 'no IP packet';
    if (this.lines.length === this.most) this.lines.shift();
    this.lines.push(`${this.sim.now.toFixed(3).padStart(12)} ${path.name} ${what}${fate === '' ? '' : ` (${fate})`}`);
  }

  private describe(packet: Uint8Array): string {
    const protocol = ipv4Protocol(packet, 0);
    const tcp = ipv4HeaderLength(packet, 0);
    if (protocol !== IP_PROTOCOL_TCP || isIpv4Fragment(packet, 0) || packet.length < tcp + 20) {
      return `protocol ${protocol}, ${packet.length} bytes`;
    }
    const source = `${formatIpv4(ipv4Source(packet, 0))}:${tcpSourcePort(packet, tcp)}`;
    const destination = `${formatIpv4(ipv4Destination(packet, 0))}:${tcpDestinationPort(packet, tcp)}`;
    const own = `${source} ${destination}`;
    if ((tcpFlags(packet, tcp) & TCP_SYN) !== 0) this.firsts.set(own, tcpSequence(packet, tcp));
    const bases = {
      ...{ seq: this.firsts.get(own) ?? 0, ack: this.firsts.get(`${destination} ${source}`) ?? 0 },
      ...{ val: 0, ecr: 0, lastVal: 0 },
    };
    const { segment } = decodeSegment(packet.subarray(0, ipv4TotalLength(packet, 0)), bases);
    return `${tcpSourcePort(packet, tcp)} > ${tcpDestinationPort(packet, tcp)} ${formatSegment(segment)}`;
  }
}
