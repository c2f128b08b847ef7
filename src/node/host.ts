/**
 * The network of a Node program on one core: the TCP/IP stack, the loop that drives it beside the program, and which
 * addresses are the stack's.
 */
import dns from 'node:dns';
import type { StopSignal } from '../../drivers/stop-signal.js';
import type { Core } from '../link/core.js';
import type { EventLoopStack } from '../stack.js';
import { netError } from '../tcpip/errors.js';
import { TcpIp, type TcpIpOptions } from '../tcpip/index.js';
import { formatIpv4 } from '../wire/address.js';
import { LinkWatch } from './link-watch.js';
import { Loop } from './loop.js';
import { ipv4In, type OpenHandle } from './net/handle-host.js';
import { makeNet, type NamedHost, type Net } from './net/make-net.js';
import { Orphans } from './orphans.js';
import { Refs } from './refs.js';

/** Options of {@link NetHost}. */
export interface NetHostOptions extends TcpIpOptions {
  /** As `dns.lookup`: finds the addresses of names. Default: that of Node, which asks the kernel's resolver. */
  readonly lookup?: NamedHost['lookup'];
}

/** How long a program that has nothing else to do waits for what it has sent to be acknowledged, in ms. */
const LINGER_MS = 1000;
const LINGER_LOOK_MS = 10;
/** How long a process that exits may send what its sockets have not sent, in ms. */
const EXIT_MS = 200;
const isUnsent = (handle: OpenHandle): boolean => handle.isUnsent;
const isUnacknowledged = (handle: OpenHandle): boolean => handle.isUnacknowledged;
/** What a thread sleeps on that only waits for a time. */
const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

export class NetHost implements EventLoopStack, NamedHost {
  readonly stack: TcpIp;
  readonly lookup: NamedHost['lookup'];
  /** @internal What keeps the process alive. */
  readonly refs = new Refs();
  /** @internal */
  readonly open = new Set<OpenHandle>();
  /** @internal */
  readonly wildcardPorts = new Set<number>();
  private ownNet: Net | undefined;
  private readonly loop: Loop;
  private afterTurns: (() => void)[] = [];
  private isFlushDue = false;
  private readonly orphans = new Orphans();
  /** Whether the loop has ended: nothing is sent any more. */
  private isOver = false;
  private lingerTimer: NodeJS.Timeout | null = null;

  constructor(
    private readonly core: Core,
    options: NetHostOptions = {},
  ) {
    this.stack = new TcpIp(core, options);
    // Asked for each name, because `tspmd exec` may put another in its place.
    this.lookup = options.lookup ?? ((name, how, done) => dns.lookup(name, how, done));
    core.unref();
    const link = new LinkWatch(core, () => {
      this.stack.tcp.resetAll(netError('ECONNRESET', 'the device is gone'));
    });
    this.loop = new Loop(core, this.stack, this.refs, link);
    this.refs.onIdle = () => this.linger();
  }

  /** Our address, as a text. */
  get address(): string {
    return formatIpv4(this.core.address);
  }

  /** `node:net` over this host, for a program with several hosts. */
  get net(): Net {
    this.ownNet ??= makeNet(() => this);
    return this.ownNet;
  }

  /** Whether a socket may be bound to `address`: it is ours, or means all of ours. */
  isOwnAddress(address: string): boolean {
    const ip = ipv4In(address) ?? address;
    return ip === this.address || ip === '0.0.0.0' || ip.startsWith('127.');
  }

  /** Returns the address that the stack sends to: loopback addresses and 0.0.0.0 mean the stack itself. */
  stackAddress(address: string): string {
    return address.startsWith('127.') || address === '0.0.0.0' ? this.address : address;
  }

  /** Sends datagrams that wait in the core, when the code that runs now has ended: together, if it sends several. */
  flush(): void {
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    process.nextTick(this.flushNow);
  }

  private readonly flushNow = (): void => {
    this.isFlushDue = false;
    this.core.flush();
  };

  /** Returns how the program sees the address of a peer: as it is. */
  shownAddress(address: string): string {
    return address;
  }

  /** Calls `act` after this turn of the loop, as libuv completes requests. */
  afterTurn(act: () => void): void {
    this.afterTurns.push(act);
    if (this.afterTurns.length === 1) setImmediate(this.runAfterTurn);
  }

  private readonly runAfterTurn = (): void => {
    const acts = this.afterTurns;
    this.afterTurns = [];
    for (const act of acts) {
      try {
        act();
      } catch (error) {
        this.uncaught(error);
      }
    }
  };

  /** What the program has thrown in a callback is an uncaught exception of the program, and no fault of the stack. */
  uncaught(error: unknown): void {
    process.nextTick(() => {
      throw error;
    });
  }

  /** A program has closed a connection: the peer gets some time to end it, too. */
  remember(orphan: OpenHandle): void {
    this.orphans.add(orphan);
    if (!this.refs.isReferenced) this.linger();
  }

  /** A connection is over. */
  forget(orphan: OpenHandle): void {
    this.orphans.delete(orphan);
  }

  /** Keeps a process that has nothing else to do alive until the peers have what it has sent, but not for long. */
  private linger(): void {
    if (this.lingerTimer !== null || !this.some(isUnacknowledged)) return;
    const until = performance.now() + LINGER_MS;
    this.lingerTimer = setInterval(() => {
      if (!this.refs.isReferenced && performance.now() < until && this.some(isUnacknowledged)) return;
      clearInterval(this.lingerTimer ?? undefined);
      this.lingerTimer = null;
    }, LINGER_LOOK_MS);
  }

  /**
   * Gives up all sockets, as the kernel does for a process that ends, and sends what was not sent, without a turn of
   * the event loop: the program hears no more of anything. It takes at most 200 ms.
   */
  endNow(): void {
    if (this.isOver) return;
    for (const handle of [...this.open]) handle.close();
    const until = performance.now() + EXIT_MS;
    this.stack.poll();
    while (this.some(isUnsent) && performance.now() < until) {
      Atomics.wait(NEVER, 0, 0, 1);
      this.stack.poll();
    }
    for (const handle of [...this.open]) if (handle.isUnsent) handle.abort();
    this.core.flush();
  }

  private some(is: (handle: OpenHandle) => boolean): boolean {
    for (const handle of this.open) if (is(handle)) return true;
    return false;
  }

  /** Runs the stack beside the program until the signal aborts; then connections are reset. */
  run(signal: StopSignal): Promise<void> {
    return this.loop.run(signal).finally(() => {
      this.isOver = true;
      this.stack.stop();
      this.refs.close();
    });
  }

  report(): Record<string, number> {
    return this.stack.report();
  }
}
