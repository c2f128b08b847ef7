/**
 * UDP (RFC 768; RFC 1122, 4.1): sockets, and which of them a received datagram or an ICMP error is for.
 *
 * With several cores, soft RSS decides which core gets a datagram, by its addresses and ports. So a socket that
 * serves all peers is bound on every core. A socket that is connected gets a local port whose answers come to its core,
 * if the stack chooses the port. Fragments go by their addresses alone, and may come to another core.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { Core } from '../../link/core.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import { formatIpv4, isIpv4Multicast, parseIpv4 } from '../../wire/address.js';
import { ICMP_DESTINATION_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, ICMP_PORT_UNREACHABLE } from '../../wire/icmp.js';
import { IP_PROTOCOL_UDP, ipv4Destination, ipv4HeaderLength, ipv4Source } from '../../wire/ipv4.js';
import {
  isUdpIntact,
  isUdpWhole,
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
} from '../../wire/udp.js';
import { netError } from '../errors.js';
import { icmpNetError } from '../ip/icmp-net-error.js';
import type { Ip } from '../ip/ip.js';
import { type RandomSource, systemRandom } from '../ip/random.js';
import type { TransportProtocol } from '../ip/transport.js';
import { isChecksumGood } from '../packet-data.js';
import { createUdpCounters, UDP } from './counters.js';
import { choosePort } from './local-port.js';
import { MAX_PAYLOAD, UdpOutput } from './output.js';
import { PortTable } from './port-table.js';
import { NOT_CONNECTED, type SocketOwner, type UdpBindOptions, type UdpHandlers, UdpSocket } from './socket.js';

const MAX_PORT = 0xffff;
const DEFAULT_SOCKETS = 4096;

export interface UdpOptions {
  /** Most sockets at a time. Default 4096. */
  readonly maxSockets?: number | undefined;
  /** Where random numbers come from. Default: the operating system. */
  readonly random?: RandomSource | undefined;
}

/**
 * UDP of a {@link TcpIp}: `net.udp`.
 *
 * @example Sends every datagram back:
 * net.udp.bind({ port: 7 }, {
 *   message: (socket, bytes, offset, length, address, port) => { socket.send(bytes, offset, length, address, port); },
 * });
 */
export class Udp implements TransportProtocol, SocketOwner {
  private readonly counters = createUdpCounters();
  private readonly values = this.counters.values;
  private readonly table: PortTable;
  private readonly output: UdpOutput;
  private readonly random: RandomSource;

  /** Registers itself with `ip`. */
  constructor(
    private readonly core: Core,
    private readonly ip: Ip,
    options: UdpOptions = {},
  ) {
    this.table = new PortTable(options.maxSockets ?? DEFAULT_SOCKETS);
    this.output = new UdpOutput(core, ip);
    this.random = options.random ?? systemRandom;
    ip.register(IP_PROTOCOL_UDP, this);
  }

  /** How many sockets are open. */
  get sockets(): number {
    return this.table.size;
  }

  /** Whether a socket has this local port. */
  isBound(port: number): boolean {
    return this.table.isUsed(port);
  }

  /**
   * Opens a socket.
   * @param handlers are called from the stack's poll
   * @throws NetError EADDRINUSE when the port is taken; EADDRNOTAVAIL when the address is not ours; ENOBUFS when there
   * are too many sockets; EINVAL when the port or the peer is wrong; ArgumentError when a text is no address
   */
  bind(options: UdpBindOptions, handlers: UdpHandlers): UdpSocket {
    const { port = 0, address, peer, broadcast = false } = options;
    const local = address === undefined ? 0 : parseIpv4(address);
    checkPort('bind', port, 0);
    if (local !== 0 && local !== this.core.address) {
      throw netError('EADDRNOTAVAIL', `bind: ${address} is not our address (${formatIpv4(this.core.address)})`);
    }
    if (this.table.size >= this.table.capacity) {
      throw netError('ENOBUFS', `bind: there are ${this.table.capacity} sockets already, the most that are allowed`);
    }
    const remote = peer === undefined ? 0 : checkPeer('bind', peer.address, peer.port);
    const remotePort = peer?.port ?? NOT_CONNECTED;
    const localPort = port === 0 ? this.choose(remote, remotePort) : port;
    this.checkFree('bind', localPort, remote, remotePort);
    const socket = new UdpSocket(this, handlers, localPort, port === 0, local === 0, broadcast);
    socket.peer = remote;
    socket.peerPort = remotePort;
    this.table.add(socket);
    return socket;
  }

  /** @internal A received datagram. */
  receive(
    memory: MemoryViews,
    ip: number,
    udp: number,
    length: number,
    toUs: boolean,
    packet: PacketBuffer | null,
  ): void {
    const { values } = this;
    const { u8 } = memory;
    const isIntact = isChecksumGood(packet) ? isUdpWhole(u8, udp, length) : isUdpIntact(memory, ip, udp, length);
    if (!isIntact) {
      values[UDP.udp_drop_malformed]++;
      return;
    }
    const address = ipv4Source(u8, ip);
    const port = udpSourcePort(u8, udp);
    const localPort = udpDestinationPort(u8, udp);
    const socket = this.table.find(localPort, address, port);
    if (socket === null || !(toUs || socket.takesGroups)) {
      values[UDP.udp_drop_no_port]++;
      // RFC 1122, 4.1.3.1; the IP layer knows when it is forbidden. Fragments may have come to a core without the socket.
      if (toUs && this.comesHere(address, port, localPort))
        this.ip.sendError(ICMP_DESTINATION_UNREACHABLE, ICMP_PORT_UNREACHABLE, memory, ip);
      return;
    }
    const { handlers } = socket;
    if (handlers.message === undefined) {
      values[UDP.udp_drop_no_handler]++;
      return;
    }
    values[UDP.udp_rx]++;
    socket.received++;
    handlers.message(socket, u8, udp + UDP_HEADER_BYTES, udpLength(u8, udp) - UDP_HEADER_BYTES, address, port);
  }

  /** @internal */
  icmpError(type: number, code: number, mtu: number, { u8 }: MemoryViews, quotedIp: number): void {
    const { values } = this;
    const udp = quotedIp + ipv4HeaderLength(u8, quotedIp);
    const address = ipv4Destination(u8, quotedIp);
    const socket = this.table.find(udpSourcePort(u8, udp), address, udpDestinationPort(u8, udp));
    if (socket === null) {
      values[UDP.udp_icmp_stray]++;
      return;
    }
    if (type === ICMP_DESTINATION_UNREACHABLE && code === ICMP_FRAGMENTATION_NEEDED) {
      values[UDP.udp_icmp_mtu]++;
      this.ip.reduceMtu(address, mtu);
      return;
    }
    socket.errors++;
    if (socket.peerPort === NOT_CONNECTED) {
      values[UDP.udp_icmp_unconnected]++;
      return;
    }
    values[UDP.udp_icmp_errors]++;
    const { handlers } = socket;
    if (handlers.error !== undefined) handlers.error(socket, icmpNetError(type, code, address, socket.peerPort));
  }

  /** @internal */
  send(socket: UdpSocket, bytes: Uint8Array, offset: number, length: number, address: number, port: number): boolean {
    // Written in this way so that NaN fails, too.
    if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
      throw netError('EINVAL', `send: bytes ${offset} to ${offset + length} do not lie within ${bytes.length} bytes`);
    }
    const to = address | 0;
    if (length > MAX_PAYLOAD) {
      throw netError('EMSGSIZE', `send: ${length} bytes are too long for a datagram (at most ${MAX_PAYLOAD})`);
    }
    if (!(port > 0 && port <= MAX_PORT) || !socket.isOpen) throw refusedSend(socket, port);
    if (!socket.mayBroadcast && this.core.isBroadcast(to)) {
      throw netError('EACCES', `send: ${formatIpv4(to)} is a broadcast address; bind with broadcast: true`);
    }
    const ttl = isIpv4Multicast(to) ? socket.multicastTtl : socket.ttl;
    const { ip } = this;
    const usual = ip.ttl;
    let isSent = false;
    try {
      if (ttl !== 0) ip.ttl = ttl;
      isSent = this.output.send(bytes, offset, length, socket.port, to, port);
    } finally {
      ip.ttl = usual;
    }
    if (isSent) {
      this.values[UDP.udp_tx]++;
      socket.sent++;
      return true;
    }
    this.values[UDP.udp_tx_failed]++;
    socket.failed++;
    return false;
  }

  /** @internal */
  connect(socket: UdpSocket, address: string, port: number): void {
    if (!socket.isOpen) throw netError('EINVAL', 'connect: the socket is closed');
    const peer = checkPeer('connect', address, port);
    if (socket.peer === peer && socket.peerPort === port) return;
    let localPort = socket.port;
    if (socket.isPortChosen && !this.comesHere(peer, port, localPort)) localPort = this.choose(peer, port);
    this.checkFree('connect', localPort, peer, port);
    this.table.remove(socket);
    socket.port = localPort;
    socket.peer = peer;
    socket.peerPort = port;
    this.table.add(socket);
  }

  /** @internal */
  disconnect(socket: UdpSocket): void {
    if (!socket.isOpen) throw netError('EINVAL', 'disconnect: the socket is closed');
    if (socket.peerPort === NOT_CONNECTED) return;
    this.checkFree('disconnect', socket.port, 0, NOT_CONNECTED);
    this.table.remove(socket);
    socket.peer = 0;
    socket.peerPort = NOT_CONNECTED;
    this.table.add(socket);
  }

  /** @internal */
  close(socket: UdpSocket): void {
    if (!socket.isOpen) return;
    socket.isOpen = false;
    this.table.remove(socket);
  }

  /** The counters, by name. */
  report(): Record<string, number> {
    return { ...this.counters.snapshot(), udp_sockets: this.table.size };
  }

  /** Chooses a free local port; for a connected socket one whose answers come to this core. */
  private choose(peer: number, peerPort: number): number {
    const port = choosePort(this.random, (candidate) => {
      if (this.table.isUsed(candidate)) return false;
      return peerPort === NOT_CONNECTED || this.comesHere(peer, peerPort, candidate);
    });
    if (port === 0) throw netError('EADDRINUSE', 'bind: no local port is free between 32768 and 60999');
    return port;
  }

  /** Whether soft RSS brings datagrams of the peer to this core. */
  private comesHere(peer: number, peerPort: number, localPort: number): boolean {
    const { core } = this;
    // What we send to ourselves never leaves this core.
    if (peer === (core.address | 0)) return true;
    return core.rssCoreForPorts(peer, core.address, peerPort, localPort) === core.index;
  }

  private checkFree(call: string, port: number, peer: number, peerPort: number): void {
    if (this.table.findExact(port, peer, peerPort) === null) return;
    const whose = peerPort === NOT_CONNECTED ? '' : ` with the peer ${formatIpv4(peer)}:${peerPort}`;
    throw netError('EADDRINUSE', `${call}: another socket has UDP port ${port}${whose}`);
  }
}

function checkPort(call: string, port: number, least: number): void {
  if (Number.isInteger(port) && port >= least && port <= MAX_PORT) return;
  throw netError('EINVAL', `${call}: a port is a whole number from ${least} to ${MAX_PORT}, found ${port}`);
}

/** Checks the peer of a connected socket. Returns its address, signed. */
function checkPeer(call: string, address: string, port: number): number {
  const peer = parseIpv4(address) | 0;
  checkPort(call, port, 1);
  if (peer === 0) throw netError('EINVAL', `${call}: ${address} is not the address of a peer`);
  return peer;
}

function refusedSend(socket: UdpSocket, port: number): Error {
  if (!socket.isOpen) return netError('EINVAL', 'send: the socket is closed');
  if (port === NOT_CONNECTED) {
    return netError('EINVAL', 'send: port 0 receives nothing; name an address and a port, or connect the socket');
  }
  return netError('EINVAL', `send: a port is a whole number from 1 to ${MAX_PORT}, found ${port}`);
}
