/**
 * The DHCP client on the link: it takes the datagrams to port 68 out of what the device receives, before the filter and
 * the stack, and sends frames of its own. So it works for every app and in every thread layout, in the thread that has
 * the device, and no address is needed.
 *
 * Messages to the server go to the MAC address from which its last answer came: that of the server, or of the relay
 * agent that is the way to it. ARP is not asked.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { L2, type L2Counters } from '../../counters.js';
import { IPV4_BROADCAST } from '../../wire/address.js';
import { readI32 } from '../../wire/bytes.js';
import {
  BROADCAST_MAC,
  copyMac,
  ETH_HEADER_BYTES,
  ETH_SOURCE,
  ETHERTYPE_IPV4_WORD,
  sameMac,
  writeEthSourceAndType,
} from '../../wire/ethernet.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  IPV4_PROTOCOL,
  ipv4HeaderLength,
  ipv4TotalLength,
  isIpv4Fragment,
  isIpv4Intact,
  writeIpv4Header,
} from '../../wire/ipv4.js';
import {
  isUdpIntact,
  isUdpWhole,
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  writeUdpHeader,
} from '../../wire/udp.js';
import type { TxBurst } from '../bursts/tx-burst.js';
import { type Host, macBytes } from '../host.js';
import type { BufferSource } from '../lower-layer.js';
import type { Arp } from '../neighbours/arp.js';
import type { ArpSender } from '../neighbours/arp-sender.js';
import { DhcpClient, type DhcpTransport } from './client.js';
import type { AddressSink } from './lease.js';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from './message.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = ETH_HEADER_BYTES;
const IPV4_TYPE = ETHERTYPE_IPV4_WORD;
const PROTOCOL_AT = ETH_HEADER_BYTES + IPV4_PROTOCOL;
const UDP = IP_PROTOCOL_UDP;
const SHORTEST = ETH_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
const CLIENT_PORT = DHCP_CLIENT_PORT;

export interface DhcpLinkOptions {
  readonly onAddress: AddressSink;
  /** As in `DhcpClientOptions`. */
  readonly onFailure: (reason: string) => void;
  readonly warn: (line: string) => void;
  readonly clock: () => number;
}

export class DhcpLink implements DhcpTransport {
  private readonly client: DhcpClient;
  private readonly memory: MemoryViews;
  private readonly values: Float64Array;
  /** Where the last answer came from: the way to the server. */
  private readonly serverMac = BROADCAST_MAC.slice();

  constructor(
    private readonly source: BufferSource,
    private readonly host: Host,
    private readonly tx: TxBurst,
    private readonly arp: Arp,
    private readonly arpSender: ArpSender,
    counters: L2Counters,
    options: DhcpLinkOptions,
  ) {
    this.memory = source.memory;
    this.values = counters.values;
    this.client = new DhcpClient(this, {
      ...options,
      hostName: hostname(),
      random: () => readI32(randomBytes(4), 0) >>> 0,
    });
  }

  get mac(): Uint8Array {
    return macBytes(this.host.mac);
  }

  /** Begins to ask for an address. */
  start(): void {
    this.client.start();
    this.tx.flush();
  }

  /** Gives the lease back. */
  stop(): void {
    this.client.stop();
    this.watchCandidate();
    this.tx.flush();
  }

  tick(nowMs: number): void {
    if (nowMs < this.client.nextDeadline()) return;
    this.client.tick(nowMs);
    this.watchCandidate();
  }

  nextDeadline(): number {
    return this.client.nextDeadline();
  }

  /**
   * Whether a frame of `length` bytes at `frame` is a datagram to port 68, for us or for everybody. If so, it was
   * taken. Called per packet: most end at the first comparisons.
   * @param isTrusted whether the device vouches for the checksum: that of a server on this host may not be computed yet
   */
  takes(frame: number, length: number, isTrusted: boolean): boolean {
    const { u8, u16 } = this.memory;
    if (length < SHORTEST || u8[frame + PROTOCOL_AT] !== UDP || u16[(frame + 12) >>> 1] !== IPV4_TYPE) return false;
    const ip = frame + HEADER_BYTES;
    const udp = ip + ipv4HeaderLength(u8, ip);
    if (udp + UDP_HEADER_BYTES > frame + length || udpDestinationPort(u8, udp) !== CLIENT_PORT) return false;
    if (isIpv4Fragment(u8, ip) || !this.isForUs(frame)) return false;
    this.receive(frame, ip, udp, length, isTrusted);
    return true;
  }

  private isForUs(frame: number): boolean {
    const { u16 } = this.memory;
    const { mac } = this.host;
    if (sameMac(mac, 0, u16, (frame + ETH_SOURCE) >>> 1)) return false;
    return sameMac(mac, 0, u16, frame >>> 1) || sameMac(BROADCAST_MAC, 0, u16, frame >>> 1);
  }

  private receive(frame: number, ip: number, udp: number, length: number, isTrusted: boolean): void {
    const { memory, values } = this;
    const { u8, u16 } = memory;
    const room = ip + ipv4TotalLength(u8, ip) - udp;
    const isIntact =
      isIpv4Intact(memory, ip, length - HEADER_BYTES) &&
      (isTrusted ? isUdpWhole(u8, udp, room) : isUdpIntact(memory, ip, udp, room));
    if (!isIntact || udpSourcePort(u8, udp) !== DHCP_SERVER_PORT) {
      values[L2.dhcp_ignored]++;
      return;
    }
    // Before the client answers: its answer may be for this server alone.
    const [mac0, mac1, mac2] = this.serverMac;
    copyMac(this.serverMac, 0, u16, (frame + ETH_SOURCE) >>> 1);
    if (this.client.receive(u8, udp + UDP_HEADER_BYTES, udpLength(u8, udp) - UDP_HEADER_BYTES)) {
      values[L2.dhcp_received]++;
    } else {
      this.serverMac.set([mac0, mac1, mac2]);
      values[L2.dhcp_ignored]++;
    }
    this.watchCandidate();
  }

  send(message: Uint8Array, source: number, destination: number): void {
    const { memory } = this;
    const { pool } = this.source;
    if (pool.available === 0) this.source.reclaimTx();
    const handle = pool.get();
    if (handle === NO_BUFFER) {
      this.values[L2.dhcp_not_sent]++;
      return;
    }
    const frame = pool.offsetOf(handle) + FRAME_OFFSET;
    const ip = frame + HEADER_BYTES;
    const udp = ip + IPV4_HEADER_BYTES;
    const datagram = UDP_HEADER_BYTES + message.length;
    copyMac(memory.u16, frame >>> 1, destination === IPV4_BROADCAST ? BROADCAST_MAC : this.serverMac, 0);
    writeEthSourceAndType(memory.u16, frame, this.host.mac, ETHERTYPE_IPV4_WORD);
    memory.u8.set(message, udp + UDP_HEADER_BYTES);
    writeIpv4Header(memory, ip, IPV4_HEADER_BYTES + datagram, IP_PROTOCOL_UDP, source, destination);
    writeUdpHeader(memory, ip, udp, datagram, DHCP_CLIENT_PORT, DHCP_SERVER_PORT);
    if (this.tx.push(handle, HEADER_BYTES + IPV4_HEADER_BYTES + datagram)) {
      this.values[L2.dhcp_sent]++;
      return;
    }
    this.values[L2.dhcp_not_sent]++;
    pool.put(handle);
  }

  probe(ip: number): void {
    this.arpSender.probe(ip);
  }

  /** Lets ARP tell when another station has the address that is probed. */
  private watchCandidate(): void {
    this.arp.watch(this.client.candidate, this.onTaken);
  }

  private readonly onTaken = (mac: string): void => {
    this.client.conflict(mac);
    this.watchCandidate();
  };
}
