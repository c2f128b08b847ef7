/** TCP of one core (RFC 9293): listeners, connections that are opened, and what happens in each poll. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { ArgumentError, StateError } from '../../errors.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import type { TcpView } from '../../link/published.js';
import { parseIpv4 } from '../../wire/address.js';
import { checkOption } from '../check-option.js';
import { netError } from '../errors.js';
import type { TransportProtocol } from '../ip/transport.js';
import { assemble, type TcpOptionsOfStack, type TcpParts, type TcpSurroundings } from './assemble.js';
import { TCP } from './counters.js';
import type { ListeningPort } from './listeners.js';
import type { ConnectOptions, Listener, ListenOptions } from './open-options.js';
import { tcpSettings } from './settings.js';
import type { Connection, TcpHandlers } from './state/api.js';
import { NO_FLOW } from './state/flow-table.js';
import { SMALL_REGION_BYTES } from './state/regions.js';
import { FLAG_DELIVER, FLAG_WANTS_DRAIN, FLAGS, ROW_SHIFT, ROW_WORDS, STATE, STATE_CLOSED } from './state/rows.js';
import { NO_ROW, type Table } from './state/table.js';
import { countUnacknowledged, rowsInUse, rowsToOthers } from './survey.js';
import { ConnectionView } from './view.js';

const DEFAULT_BACKLOG = 511;
const MAX_BACKLOG = 1 << 20;
const MAX_PORT = 0xffff;
/** When a core that could not send tries again, while nothing else wakes it. */
const BLOCKED_MS = 1;

/**
 * TCP of a {@link TcpIp}: `net.tcp`.
 *
 * @example A client:
 * net.tcp.connect({ address: '10.0.0.2', port: 80 }, {
 *   open: (c) => c.write(Buffer.from('GET / HTTP/1.0\r\n\r\n')),
 *   data: (c, bytes, offset, length) => process.stdout.write(bytes.slice(offset, offset + length)),
 *   end: (c) => c.end(),
 *   close: (c, error) => { if (error !== null) console.error(error.message); },
 * });
 */
export class Tcp implements TransportProtocol {
  private readonly parts: TcpParts;
  private readonly table: Table;
  private isPolling = false;
  private isStopped = false;
  /** The address of the last {@link connect}, as text and parsed. */
  private peerText = '';
  private peer = 0;

  /** Only for the stack. */
  constructor(
    private readonly surroundings: TcpSurroundings,
    options: TcpOptionsOfStack,
  ) {
    this.parts = assemble(surroundings, options, this);
    this.table = this.parts.table;
  }

  /**
   * Takes connections at a port (RFC 9293, 3.10.1: passive OPEN). With several cores, each core has its own listener.
   * @param handlers one set for all connections
   * @returns the listener: close it to take no more
   * @throws NetError EADDRINUSE when the port has a listener; ArgumentError when an option is wrong; StateError after the
   * stack has stopped
   */
  listen(options: ListenOptions, handlers: TcpHandlers): Listener {
    if (this.isStopped) throw new StateError('listen: the stack has stopped');
    const { port, backlog = DEFAULT_BACKLOG } = options;
    checkOption('listen', 'port', port, 0, MAX_PORT);
    checkOption('listen', 'backlog', backlog, 1, MAX_BACKLOG);
    const { listeners } = this.parts;
    const own = port === 0 ? listeners.choosePort() : port;
    if (own === 0) throw netError('EADDRINUSE', 'listen: every port from 49152 to 65535 has a listener');
    if (listeners.find(own) !== undefined) {
      throw netError('EADDRINUSE', `listen: port ${own} has a listener already; close it or take another port`);
    }
    const listening: ListeningPort = {
      port: own,
      backlog,
      handlers,
      settings: tcpSettings('listen', options),
      halfOpen: 0,
    };
    listeners.add(listening);
    return { port: own, close: () => listeners.remove(listening) };
  }

  /** Whether the port has a listener. */
  isListening(port: number): boolean {
    return this.parts.listeners.find(port) !== undefined;
  }

  /**
   * Opens a connection (RFC 9293, 3.10.1: active OPEN).
   * @returns the connection: data may be written at once, and goes out when it is open. `open` or `close` follows, not
   * before this returns
   * @throws ArgumentError when an option is wrong; NetError EADDRINUSE when the local port has such a connection,
   * EADDRNOTAVAIL when no port is free, or the answers to the local port come to another core, ENETUNREACH when there is
   * no route, ENOBUFS when the table of connections is full; StateError after the stack has stopped
   */
  connect(options: ConnectOptions, handlers: TcpHandlers): Connection {
    if (this.isStopped) throw new StateError('connect: the stack has stopped');
    const { address, port, localPort } = options;
    checkOption('connect', 'port', port, 1, MAX_PORT);
    if (localPort !== undefined) checkOption('connect', 'localPort', localPort, 1, MAX_PORT);
    const settings = tcpSettings('connect', options);
    const remote = this.parsePeer(address);
    if (!this.surroundings.isPeer(remote)) {
      throw new ArgumentError(`connect: ${address} is not the address of one host`);
    }
    if (!this.surroundings.hasRoute(remote)) {
      const why = this.surroundings.local.address === 0 ? 'we have no address' : 'it is not on the link: set a gateway';
      throw netError('ENETUNREACH', `connect: ${address} cannot be reached, because ${why}`);
    }
    if (!this.isPolling) {
      // The core may have slept since the last poll.
      this.surroundings.clock.read();
      this.parts.timeWait.expire(this.table.clock.ms);
    }
    if (localPort !== undefined && !this.surroundings.isOwnFlow(remote, port, localPort)) {
      const what = `the answers of ${address}:${port} to port ${localPort} come to another core`;
      throw netError('EADDRNOTAVAIL', `connect: ${what}; connect there, or leave localPort out`);
    }
    const own = localPort ?? this.chooseLocalPort(remote, port);
    const ports = (own << 16) | port;
    const { table, parts } = this;
    if (localPort !== undefined && table.flows.find(remote, ports) !== NO_FLOW) {
      throw netError('EADDRINUSE', `connect: port ${own} has a connection to ${address}:${port} already`);
    }
    const r = parts.handshake.create(remote, ports, handlers, settings);
    if (r === NO_ROW) {
      throw netError('ENOBUFS', `connect: all ${table.rows.count} connections are in use; raise maxConnections`);
    }
    parts.handshake.connect(r);
    this.flushSoon();
    return table.connections[r >> ROW_SHIFT];
  }

  /** Programs mostly connect to the address that they connected to before. */
  private parsePeer(address: string): number {
    if (address !== this.peerText) {
      this.peer = parseIpv4(address) | 0;
      this.peerText = address;
    }
    return this.peer;
  }

  private chooseLocalPort(remote: number, port: number): number {
    const own = this.parts.sourcePorts.choose(remote, port, this.isUsable);
    if (own !== 0) return own;
    this.table.count[TCP.tcp_ports_exhausted]++;
    throw netError('EADDRNOTAVAIL', 'connect: every port that leads to this core has a connection to that address');
  }

  /** Whether a connection may have this local port: nobody has it, and its packets come to this core. */
  private readonly isUsable = (remote: number, remotePort: number, localPort: number): boolean => {
    if (this.parts.listeners.find(localPort) !== undefined) return false;
    if (this.table.flows.find(remote, (localPort << 16) | remotePort) !== NO_FLOW) return false;
    return this.surroundings.isOwnFlow(remote, remotePort, localPort);
  };

  /** @internal A received segment. */
  receive(
    memory: MemoryViews,
    ip: number,
    tcp: number,
    length: number,
    toUs: boolean,
    packet: PacketBuffer | null,
  ): void {
    this.parts.arrival.receive(memory, ip, tcp, length, toUs, packet);
  }

  /** @internal */
  icmpError(type: number, code: number, mtu: number, memory: MemoryViews, quoted: number, length: number): void {
    this.parts.icmpArrival.receive(type, code, mtu, memory, quoted, length);
  }

  /** @internal The stack begins to hand over a burst: what applications write goes out at its end. */
  begin(): void {
    this.isPolling = true;
    this.parts.transmit.begin();
  }

  /**
   * @internal The end of a poll: timers, then data, ACKs and calls for every connection that has something to do.
   * @returns how many timers have fired
   */
  finish(): number {
    const { table, parts } = this;
    const { ms } = table.clock;
    this.isPolling = true;
    const fired = table.wheel.advance(ms, parts.timers);
    parts.timeWait.expire(ms);
    table.regions.tick(ms);
    this.flush();
    this.isPolling = false;
    table.reclaim();
    return fired;
  }

  /** Looks at every listed row. Rows that are listed meanwhile wait for the next poll. */
  private flush(): void {
    const { table, parts } = this;
    const { i32 } = table;
    for (let left = table.listed; left > 0; left--) {
      const r = table.unlist();
      if (r === NO_ROW) continue;
      if ((i32[r + FLAGS] & FLAG_DELIVER) !== 0) parts.calls.deliver(r);
      if (parts.sendBuffer.takeDrain(r)) this.drain(r);
      if (i32[r + STATE] !== 0) parts.output.send(r);
      if (i32[r + STATE] !== 0) parts.acks.flush(r);
    }
    if (table.isStarved) this.relieve();
  }

  /** If there is memory again, the next poll looks at all connections that wait for it. */
  private relieve(): void {
    const { table } = this;
    const { i32 } = table;
    if (!table.regions.hasRoomFor(SMALL_REGION_BYTES)) return;
    table.isStarved = false;
    for (let r = 0; r < table.connections.length << ROW_SHIFT; r += ROW_WORDS) {
      if (i32[r + STATE] !== 0 && (i32[r + FLAGS] & FLAG_WANTS_DRAIN) !== 0) table.list(r);
    }
  }

  private drain(r: number): void {
    const row = r >> ROW_SHIFT;
    this.table.handlers[row].drain?.(this.table.connections[row]);
  }

  /** @internal An application has done something outside of a poll: does what follows from it at once. */
  flushSoon(): void {
    const { surroundings } = this;
    if (this.isPolling) return;
    if (surroundings.isDeferred()) {
      surroundings.wake();
      return;
    }
    surroundings.clock.read();
    this.isPolling = true;
    this.parts.transmit.begin();
    try {
      this.flush();
    } finally {
      // A handler may throw, and the application may catch it and go on.
      this.isPolling = false;
    }
    this.table.reclaim();
    surroundings.wake();
  }

  /** @internal Whether a connection waits for the end of the poll. */
  get hasListed(): boolean {
    return this.table.listed > 0;
  }

  /** Returns the milliseconds until the next timer may fire; 0 when a connection waits for the next poll. */
  msToNext(): number {
    // Nothing wakes the core when buffers come back, or the ring has room again.
    if (this.table.listed > 0) return this.parts.transmit.isBlocked ? BLOCKED_MS : 0;
    return this.table.wheel.msToNext(this.table.clock.ms);
  }

  /**
   * Returns the counters by name, and what there is now: connections, those in TIME-WAIT, timers, and bytes of buffers
   * (`tcp_memory`).
   */
  report(): Record<string, number> {
    const { table, parts } = this;
    return {
      ...table.counters.snapshot(),
      tcp_connections: table.size,
      tcp_time_wait: parts.timeWait.size,
      tcp_time_wait_recycled: parts.timeWait.recycled,
      tcp_timers: table.wheel.armed,
      tcp_memory: table.regions.used,
    };
  }

  /** @internal For those who look into the port. */
  view(core: number): TcpView {
    return new ConnectionView(this.parts, core);
  }

  /**
   * How many connections have bytes, or a FIN, that the peer has not acknowledged. A program that ends polls until this is
   * 0, or for as long as it wants to wait. It looks at each connection, so it is not for each packet.
   */
  get unacknowledged(): number {
    return countUnacknowledged(this.table, this.parts.sendBuffer);
  }

  /**
   * Ends all connections to other hosts with a RST and `close(c, error)`, because the device is gone. Listeners stay, and
   * so do connections to the own address, and those that have ended on the wire but wait for {@link Connection.resume}.
   * @param error such as a {@link NetError} with ECONNRESET
   * @throws the first error that a handler has thrown, when all connections are reset
   */
  resetAll(error: Error): void {
    const { table, parts, surroundings } = this;
    surroundings.clock.read();
    parts.transmit.begin();
    this.endAll(rowsToOthers(table, surroundings.local.address), (r) => parts.closing.reset(r, error));
    if (!this.isPolling) surroundings.wake();
  }

  /**
   * @internal Resets all connections.
   * @throws the first error that a handler has thrown, when all connections are reset
   */
  stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.parts.transmit.begin();
    this.endAll(rowsInUse(this.table), (r) => this.parts.closing.reset(r, null));
  }

  /**
   * @internal Our address has changed: ends all connections with ECONNRESET. Nothing is sent, because the old address is
   * not ours any more.
   * @throws the first error that a handler has thrown, when all connections have ended
   */
  forget(reason: string): void {
    this.parts.timeWait.clear();
    this.endAll(rowsInUse(this.table), (r) => {
      const { remoteAddress, remotePort } = this.table.connections[r >> ROW_SHIFT];
      this.parts.closing.finish(r, netError('ECONNRESET', `${remoteAddress}:${remotePort}: ${reason}`));
    });
  }

  /** Ends the connections of `rows`; not those that a handler opens meanwhile. */
  private endAll(rows: readonly number[], end: (r: number) => void): void {
    const { table, isPolling } = this;
    const errors: unknown[] = [];
    this.isPolling = true;
    for (const r of rows) {
      if (table.i32[r + STATE] === STATE_CLOSED) continue;
      try {
        end(r);
      } catch (error) {
        errors.push(error);
      }
    }
    // A handler may have called it.
    this.isPolling = isPolling;
    if (!isPolling) table.reclaim();
    if (errors.length > 0) throw errors[0];
  }
}
