/**
 * The DHCP client (RFC 2131, 4.4): a state machine that gets messages and the time, and sends messages. It has no
 * socket and no timer of its own.
 *
 *     WAITING -- due --> SELECTING: DISCOVER, again after 4, 8, 16, 32, 64 s
 *     SELECTING -- OFFER --> REQUESTING -- ACK --> PROBING: three ARP probes (RFC 5227) -- silence --> BOUND
 *     REQUESTING -- NAK, no answer --> WAITING        PROBING -- another station has the address --> DECLINE, WAITING
 *     BOUND -- T1 --> RENEWING: REQUEST to the server -- T2 --> REBINDING: REQUEST to all servers
 *     RENEWING, REBINDING -- ACK --> BOUND; NAK, end of the lease --> WAITING, without an address
 *
 * INIT-REBOOT is left out: nothing is remembered from one run to the next.
 */
import { formatIpv4, IPV4_BROADCAST } from '../../wire/address.js';
import type { AddressSink } from './lease.js';
import { type ClientMessage, DhcpType, decodeMessage, encodeMessage, isAnswer, type ServerMessage } from './message.js';
import { addressFault, type Terms, termsOf } from './terms.js';

/** How messages go out. */
export interface DhcpTransport {
  /** Our MAC address, six bytes. */
  readonly mac: Uint8Array;
  /**
   * Sends a message to port 67.
   * @param source our address; 0 when we have none
   * @param destination a server, or 255.255.255.255
   */
  send(message: Uint8Array, source: number, destination: number): void;
  /** Asks by ARP whether a station has `ip`. {@link DhcpClient.conflict} hears the answer. */
  probe(ip: number): void;
}

export interface DhcpClientOptions {
  /** Our name for the server; the leases of many servers show it. */
  readonly hostName?: string;
  /** Hears of each lease: a new one, a renewed one, or that it is gone (address 0). */
  readonly onAddress: AddressSink;
  /** Hears, once, that there is no lease after {@link FIRST_LEASE_MS}; the client has stopped then. */
  readonly onFailure: (reason: string) => void;
  readonly warn: (line: string) => void;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** Random numbers, 0 to 2^32 - 1. */
  readonly random: () => number;
}

type State = 'STOPPED' | 'WAITING' | 'SELECTING' | 'REQUESTING' | 'PROBING' | 'BOUND' | 'RENEWING' | 'REBINDING';

/** How long the first lease may take, in ms. */
export const FIRST_LEASE_MS = 30_000;
// RFC 2131, 4.1: the first wait for an answer, give or take a second; it doubles up to 64 s.
const FIRST_RETRY_MS = 4000;
const MAX_DOUBLINGS = 4;
const JITTER_MS = 1000;
/** Requests for an offered address before the offer is given up. */
const MAX_REQUESTS = 3;
/** RFC 2131, 4.4.5: the shortest wait between two requests to renew. */
const RENEW_RETRY_MS = 60_000;
/** RFC 2131, 3.1, 5: the wait after a DECLINE. */
const DECLINED_MS = 10_000;
/**
 * RFC 5227 has three probes in up to seven seconds, for links that come up slowly. Ours is up when a server has answered
 * over it, so the answer of a station takes milliseconds.
 */
const PROBES = 3;
const PROBE_MS = 150;
/** The longest wait before the next DISCOVER, after one failure upon another. */
const MAX_WAIT_MS = 64_000;

export class DhcpClient {
  private state: State = 'STOPPED';
  private xid = 0;
  /** When something is due next. */
  private due = Number.POSITIVE_INFINITY;
  /** When the first lease must be there; Infinity once it was. */
  private failAt = Number.POSITIVE_INFINITY;
  /** When we began to ask for an address, and when the last request was sent. */
  private begunAt = 0;
  private askedAt = 0;
  /** When the request was sent that our lease answers: its times count from there. */
  private leasedAt = 0;
  /** RFC 2131, 4.4.1: the request for an offer has the value of the DISCOVER. */
  private secs = 0;
  /** Messages of the same kind that were sent in a row, or probes. */
  private sent = 0;
  /** Failures in a row: the next attempt waits longer. */
  private failures = 0;
  private offered = { address: 0, server: 0 };
  /** What was acknowledged: what is probed, and then our lease. */
  private terms: Terms | null = null;
  /** What has kept us from an address, for people. */
  private obstacle = 'no DHCP server has answered';

  constructor(
    private readonly transport: DhcpTransport,
    private readonly options: DhcpClientOptions,
  ) {}

  /** The address that is probed now; 0 when none is. */
  get candidate(): number {
    return this.state === 'PROBING' ? this.terms!.host.address : 0;
  }

  /** Whether we have a lease. */
  get isBound(): boolean {
    return this.state === 'BOUND' || this.state === 'RENEWING' || this.state === 'REBINDING';
  }

  /** Begins to ask for an address. */
  start(): void {
    const now = this.options.clock();
    this.failAt = now + FIRST_LEASE_MS;
    this.discover(now);
  }

  /** When {@link tick} has something to do next; Infinity when it has not. */
  nextDeadline(): number {
    return Math.min(this.due, this.failAt);
  }

  /** Does what is due at `now`, in ms. */
  tick(now: number): void {
    if (now >= this.failAt) {
      this.halt();
      this.options.onFailure(this.obstacle);
      return;
    }
    if (now < this.due) return;
    switch (this.state) {
      case 'WAITING':
        this.discover(now);
        break;
      case 'SELECTING':
        this.sendDiscover(now);
        break;
      case 'REQUESTING':
        if (this.sent < MAX_REQUESTS) this.sendRequest(now);
        else this.fail(now, `${formatIpv4(this.offered.server)} has made an offer, and has not acknowledged it`);
        break;
      case 'PROBING':
        if (this.sent < PROBES) this.sendProbe(now);
        else this.bind(now, `leased from ${this.terms!.lease.server}`);
        break;
      default:
        this.renew(now);
    }
  }

  /**
   * Takes `length` bytes at `at` that came to port 68.
   * @returns false when they are no message that we wait for
   */
  receive(u8: Uint8Array, at: number, length: number): boolean {
    const { state } = this;
    const isWaiting = state === 'SELECTING' || state === 'REQUESTING' || state === 'RENEWING' || state === 'REBINDING';
    if (!isWaiting || !isAnswer(u8, at, length, this.xid, this.transport.mac)) return false;
    const message = decodeMessage(u8, at, length);
    if (message === null) return false;
    const now = this.options.clock();
    if (message.type === DhcpType.OFFER) return state === 'SELECTING' && this.take(now, message);
    if (state === 'SELECTING' || !this.isFromOurServer(message)) return false;
    if (message.type === DhcpType.ACK) return this.acknowledged(now, message);
    if (message.type === DhcpType.NAK) return this.refused(now, message);
    return false;
  }

  /** Another station uses the address that is probed. @param mac of the station, as text */
  conflict(mac: string): void {
    if (this.state !== 'PROBING') return;
    const { host, server, lease } = this.terms!;
    this.broadcast({ ...this.head(DhcpType.DECLINE), requested: host.address, server });
    const fault = `${lease.address}, which ${lease.server} has leased to us, is used by the station ${mac}`;
    this.options.warn(`dhcp: ${fault}: declined`);
    const now = this.options.clock();
    this.fail(now, fault);
    this.due = now + DECLINED_MS;
  }

  /** Gives the lease back, and stops. */
  stop(): void {
    const { terms } = this;
    if (this.isBound && terms !== null) {
      const { server } = terms;
      const { address } = terms.host;
      this.begin(this.options.clock());
      const message = encodeMessage({ ...this.head(DhcpType.RELEASE), clientAddress: address, server });
      this.transport.send(message, address, server);
    }
    this.halt();
  }

  private halt(): void {
    this.state = 'STOPPED';
    this.terms = null;
    this.due = Number.POSITIVE_INFINITY;
    this.failAt = Number.POSITIVE_INFINITY;
  }

  private discover(now: number): void {
    this.state = 'SELECTING';
    this.begin(now);
    this.sendDiscover(now);
  }

  /** Begins an exchange: its answers have its number. */
  private begin(now: number): void {
    this.xid = this.options.random();
    this.begunAt = now;
    this.secs = 0;
    this.sent = 0;
  }

  private sendDiscover(now: number): void {
    this.secs = (now - this.begunAt) / 1000;
    this.broadcast(this.head(DhcpType.DISCOVER));
    this.due = now + this.backoff();
  }

  /** RFC 2131, 4.1: the wait doubles, give or take a second. */
  private backoff(): number {
    const doublings = Math.min(this.sent++, MAX_DOUBLINGS);
    return (FIRST_RETRY_MS << doublings) + this.fraction() * 2 * JITTER_MS - JITTER_MS;
  }

  /** Takes the first offer that is any use. */
  private take(now: number, message: ServerMessage): boolean {
    const fault = addressFault(message);
    if (fault !== '') {
      this.obstacle = `an offer cannot be used: ${fault}`;
      return false;
    }
    this.offered = { address: message.address, server: message.server };
    this.state = 'REQUESTING';
    this.sent = 0;
    this.sendRequest(now);
    return true;
  }

  private sendRequest(now: number): void {
    const { address, server } = this.offered;
    this.broadcast({ ...this.head(DhcpType.REQUEST), requested: address, server });
    this.askedAt = now;
    this.due = now + this.backoff();
  }

  /** RFC 2131, 4.4.5: any server may answer a request to rebind; otherwise it is the one that we have asked. */
  private isFromOurServer({ server }: ServerMessage): boolean {
    if (this.state === 'REBINDING') return true;
    return server === (this.state === 'REQUESTING' ? this.offered.server : this.terms!.server);
  }

  private acknowledged(now: number, message: ServerMessage): boolean {
    const isNew = this.state === 'REQUESTING';
    const expected = isNew ? this.offered.address : this.terms!.host.address;
    const terms = message.address === expected ? termsOf(message) : `it names ${formatIpv4(message.address)}`;
    if (typeof terms === 'string') {
      this.obstacle = `an acknowledgement cannot be used: ${terms}`;
      return false;
    }
    this.terms = terms;
    if (!isNew) {
      this.bind(now, `renewed by ${terms.lease.server}`);
      return true;
    }
    this.state = 'PROBING';
    this.sent = 0;
    this.sendProbe(now);
    return true;
  }

  private refused(now: number, { server, text }: ServerMessage): boolean {
    const who = formatIpv4(server);
    const why = text === '' ? '' : `: ${text}`;
    if (this.state === 'REQUESTING') this.fail(now, `${who} has refused its own offer${why}`);
    else this.lose(now, `${who} does not renew the lease${why}`);
    return true;
  }

  private sendProbe(now: number): void {
    this.sent++;
    this.transport.probe(this.terms!.host.address);
    this.due = now + PROBE_MS;
  }

  private bind(now: number, reason: string): void {
    const { host, lease, t1 } = this.terms!;
    this.state = 'BOUND';
    this.failures = 0;
    this.failAt = Number.POSITIVE_INFINITY;
    this.leasedAt = this.askedAt;
    // RFC 2131, 4.4.5: some chance, so that not all clients renew at the same time.
    const early = (this.fraction() * t1) / 8;
    this.due = Number.isFinite(t1) ? Math.max(now, this.leasedAt + t1 - early) : Number.POSITIVE_INFINITY;
    this.options.onAddress({ host, lease, reason });
  }

  /** T1 or T2 has come, or no answer: asks (again), by T2 all servers. Until the lease ends. */
  private renew(now: number): void {
    const { host, server, lease, t2, expiry } = this.terms!;
    const [rebindAt, endAt] = [this.leasedAt + t2, this.leasedAt + expiry];
    if (now >= endAt) {
      this.lose(now, `the lease of ${lease.address} has ended, and no server has renewed it`);
      return;
    }
    const next: State = now < rebindAt ? 'RENEWING' : 'REBINDING';
    if (this.state !== next) this.begin(now);
    this.state = next;
    this.secs = (now - this.begunAt) / 1000;
    const message = encodeMessage({ ...this.head(DhcpType.REQUEST), clientAddress: host.address });
    this.transport.send(message, host.address, next === 'RENEWING' ? server : IPV4_BROADCAST);
    this.askedAt = now;
    // Half of what is left (RFC 2131, 4.4.5).
    const until = next === 'RENEWING' ? rebindAt : endAt;
    this.due = Math.min(until, now + Math.max(RENEW_RETRY_MS, (until - now) / 2));
  }

  private lose(now: number, reason: string): void {
    this.options.warn(`dhcp: ${reason}; asking for another address`);
    this.options.onAddress({ host: { address: 0, prefixLength: 0 }, lease: null, reason });
    this.fail(now, reason);
  }

  /** Begins anew: at once after the first failure, later after more and more of them. */
  private fail(now: number, obstacle: string): void {
    this.obstacle = obstacle;
    this.terms = null;
    this.state = 'WAITING';
    this.due = now + (this.failures === 0 ? 0 : Math.min(MAX_WAIT_MS, 1000 << Math.min(this.failures, 6)));
    this.failures++;
  }

  private broadcast(message: ClientMessage): void {
    this.transport.send(encodeMessage(message), 0, IPV4_BROADCAST);
  }

  /** What every message has. */
  private head(type: number): ClientMessage {
    const { hostName } = this.options;
    const head = { type, xid: this.xid, secs: this.secs, mac: this.transport.mac };
    return hostName === undefined ? head : { ...head, hostName };
  }

  /** 0 to 1. */
  private fraction(): number {
    return this.options.random() / 2 ** 32;
  }
}
