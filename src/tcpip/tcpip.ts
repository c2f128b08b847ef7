/** The TCP/IP stack of one core: puts IP, UDP and TCP together, and drives them. */
import { randomBytes } from 'node:crypto';
import type { StopSignal } from '../../drivers/stop-signal.js';
import type { Core } from '../link/core.js';
import { isRoutable } from '../link/host.js';
import { publishTcp } from '../link/published.js';
import { runStack } from '../link/run-loop.js';
import type { Stack } from '../stack.js';
import { formatIpv4 } from '../wire/address.js';
import { readI32 } from '../wire/bytes.js';
import { IP_PROTOCOL_TCP } from '../wire/ipv4.js';
import { checkOption } from './check-option.js';
import { Clock } from './clock.js';
import { Ip } from './ip/ip.js';
import { RandomBytes } from './random-bytes.js';
import { Tcp } from './tcp/tcp.js';
import { Udp } from './udp/udp.js';

/** Options of {@link TcpIp}. All limits are those of one core. */
export interface TcpIpOptions {
  /**
   * Most TCP connections, 1 to 1,048,576, half-open ones included, those in TIME-WAIT not. Default 16,384. A connection
   * that was never used takes no memory, an idle one less than 1 KiB.
   */
  readonly maxConnections?: number;
  /**
   * Most bytes of all send and receive buffers together, 64 KiB or more. Default 256 MiB. A part of it, 4 KiB per
   * connection and at most a quarter, serves buffers of up to 2 KiB only, so that some connections cannot stop the others.
   */
  readonly memory?: number;
  /** Largest send buffer that auto-tuning makes, in bytes. Default 4 MiB, as Linux's tcp_wmem. */
  readonly maxSendBuffer?: number;
  /** Largest receive buffer that auto-tuning makes, in bytes. Default 6 MiB, as Linux's tcp_rmem. */
  readonly maxReceiveBuffer?: number;
  /** Most connections in TIME-WAIT. Default 65,536. */
  readonly maxTimeWait?: number;
  /** How long a connection stays in TIME-WAIT, in ms. Default 60,000, as Linux. */
  readonly timeWaitMs?: number;
  /** Most UDP sockets. Default 4096. */
  readonly maxSockets?: number;
  /** Time to live of the packets that are sent, 1 to 255. Default 64, as Linux's ip_default_ttl. */
  readonly ttl?: number;
  /** For tests: the same seed gives the same keys, ports and sequence numbers. Default: random. */
  readonly seed?: number;
}

const MAX_CONNECTIONS = 1 << 20;
/** The words of all rows have signed offsets. */
const MAX_MEMORY = 2 ** 40;
const MAX_BUFFER = 1 << 30;
const MIN_BUFFER = 1 << 16;
const MAX_WAIT_MS = 1 << 24;
const MAX_TTL = 255;
/** How often a poll looks again for packets that the stack has sent to itself. */
const LOOP_ROUNDS = 8;
/** 12 days: half of what two values of the clock may lie apart. After 24 days without a poll no timer would fire. */
const LONGEST_SLEEP_MS = 1 << 30;

/**
 * The TCP/IP stack of one core (IPv4). Stacks of several cores share nothing: soft RSS brings every packet of a
 * connection to the core that has it. It takes all packets of its core; it answers pings by itself.
 *
 * @example Sends back what comes to port 7:
 * const port = await init({ device: 'vhost-user:/tmp/tspmd-vm1.sock', ip: '10.0.0.1/24' });
 * const net = new TcpIp(port.core());
 * net.tcp.listen({ port: 7 }, {
 *   data: (c, bytes, offset, length) => { c.write(bytes, offset, length); },
 *   end: (c) => c.end(),
 * });
 * await net.run(signal);
 *
 * @example As an app of `tspmd run --app`, also with several cores:
 * export default (core: Core): TcpIp => {
 *   const net = new TcpIp(core, { maxConnections: 100_000 });
 *   net.tcp.listen({ port: 80 }, handlers);
 *   return net;
 * };
 */
export class TcpIp implements Stack {
  /** TCP: `listen` and `connect`. */
  readonly tcp: Tcp;
  /** UDP: `bind`. */
  readonly udp: Udp;
  /**
   * Whether {@link poll} is called again in any case before the core sleeps, at the latest in this turn of the event loop.
   * A loop of one's own sets it. Then what an application calls from outside of a poll (`write`, `end`, `resume`) is done
   * at the next poll, once for all calls, and not at once. When the core sleeps, such a call wakes it. Default false.
   */
  defer = false;
  private readonly ip: Ip;
  private readonly clock: Clock;

  /**
   * @param core with layer `ip`
   * @throws ArgumentError when an option is out of range
   */
  constructor(
    private readonly core: Core,
    options: TcpIpOptions = {},
  ) {
    const { maxConnections = 16_384, memory = 256 * 2 ** 20, maxTimeWait = 65_536, timeWaitMs = 60_000 } = options;
    const { maxSendBuffer = 4 * 2 ** 20, maxReceiveBuffer = 6 * 2 ** 20 } = options;
    checkOption('TcpIp', 'maxConnections', maxConnections, 1, MAX_CONNECTIONS);
    checkOption('TcpIp', 'memory', memory, MIN_BUFFER, MAX_MEMORY);
    checkOption('TcpIp', 'maxSendBuffer', maxSendBuffer, MIN_BUFFER, MAX_BUFFER);
    checkOption('TcpIp', 'maxReceiveBuffer', maxReceiveBuffer, MIN_BUFFER, MAX_BUFFER);
    checkOption('TcpIp', 'maxTimeWait', maxTimeWait, 1, MAX_CONNECTIONS);
    checkOption('TcpIp', 'timeWaitMs', timeWaitMs, 0, MAX_WAIT_MS);
    if (options.ttl !== undefined) checkOption('TcpIp', 'ttl', options.ttl, 1, MAX_TTL);
    const clock = new Clock(() => core.now());
    this.clock = clock;
    const random = options.seed === undefined ? randomBytes : new RandomBytes(options.seed).take;
    const randomWord = () => readI32(random(4), 0);
    const ip = new Ip(core, clock, { ttl: options.ttl, random: randomWord });
    this.ip = ip;
    const local = ip.own;
    this.udp = new Udp(core, ip, { maxSockets: options.maxSockets, random: randomWord });
    const around = {
      ...{ clock, memory: core.memory, ip, local, mtu: core.mtu, random },
      isPeer: (address: number) => !core.isBroadcast(address) && isRoutable(address),
      hasRoute: (address: number) => core.hasRoute(address),
      isOwnFlow: (remote: number, remotePort: number, localPort: number) =>
        // What the stack sends to itself never leaves this core.
        core.count === 1 ||
        remote === local.address ||
        core.rssCoreForPorts(remote, local.address, remotePort, localPort) === core.index,
      wake: () => this.wake(),
      isDeferred: () => this.defer,
    };
    const sizes = { maxConnections, memory, maxSendBuffer, maxReceiveBuffer, maxTimeWait, timeWaitMs };
    this.tcp = new Tcp(around, sizes);
    ip.register(IP_PROTOCOL_TCP, this.tcp);
    publishTcp(core, this.tcp.view(core.index));
  }

  /**
   * Takes what has come, does what is due, and sends. {@link runStack} calls it; call it yourself only without
   * {@link run}. Packets that the stack has sent to its own address are among what has come.
   * @returns how many packets and timers there were
   */
  poll(): number {
    return this.handle(this.core.getRxCount());
  }

  /**
   * As {@link poll}, but reads the clock and looks at the timers only if there is something to do: an empty poll takes
   * 10 ns instead of 55. For a call that follows one of `poll` at once.
   */
  pollAgain(): number {
    const count = this.core.getRxCount();
    return count === 0 && !this.tcp.hasListed && this.ip.looped === 0 ? 0 : this.handle(count);
  }

  /** @param count of packets that are waiting */
  private handle(count: number): number {
    const { core, ip, tcp, clock } = this;
    clock.read();
    if ((core.address | 0) !== ip.own.address) this.readdress(core.address | 0);
    tcp.begin();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer !== null) ip.input(buffer);
    }
    let done = count + ip.inputLooped();
    ip.tick(clock.ms);
    // Calls from outside of a poll may have left something to send.
    const hasListed = tcp.hasListed;
    done += tcp.finish();
    // Two ends in this stack answer each other without end: after some rounds, others have their turn.
    for (let rounds = 0; rounds < LOOP_ROUNDS && ip.looped > 0; rounds++) {
      clock.read();
      tcp.begin();
      done += ip.inputLooped() + tcp.finish();
    }
    if (done > 0 || hasListed) core.flush();
    return done;
  }

  /** Returns how long {@link poll} need not be called while no packets come, in ms. */
  maxSleepMs(): number {
    if (this.ip.looped > 0) return 0;
    this.clock.read();
    return Math.min(this.tcp.msToNext(), this.ip.msToNext(this.clock.ms), LONGEST_SLEEP_MS);
  }

  /** Returns totals until now, by name: those of IP and ICMP (`ip_…`, `icmp_…`), UDP (`udp_…`) and TCP. */
  report(): Record<string, number> {
    return { ...this.ip.report(), ...this.udp.report(), ...this.tcp.report() };
  }

  /** Resets all connections: each gets `close` with null. {@link runStack} calls it at the end of its loop. */
  stop(): void {
    try {
      this.tcp.stop();
    } finally {
      this.ip.dropLooped();
      this.core.flush();
    }
  }

  /**
   * Runs the stack on its core until the signal aborts, as {@link runStack} does. Timers and other code run meanwhile.
   * @returns resolves when the loop has ended and all connections are reset; rejects with what a handler has thrown
   */
  run(signal: StopSignal): Promise<void> {
    return runStack(this.core, this, { signal });
  }

  /** Our address has changed: the connections of the old one end, listeners and UDP sockets stay. */
  private readdress(address: number): void {
    const { own } = this.ip;
    const old = formatIpv4(own.address);
    own.address = address;
    const now = address === 0 ? 'and we have none now' : `which is ${formatIpv4(address)} now`;
    this.tcp.forget(`${old} is no longer our address, ${now}`);
  }

  /** A timer was set while the core may sleep for longer. */
  private wake(): void {
    if (this.core.isAsleep) this.core.wake();
  }
}
