/**
 * Sends numbered requests in many flows to the other endpoints, and checks the answers. A flow has a window of requests under
 * way. When no answer came for a while they are given up, and the flow sends one at a time until an answer comes, as a TCP
 * connection would: an endpoint that is away is asked a few times per second, and traffic flows as soon as it is back.
 */
import type { Core } from '../../src/link/core.js';
import { IP_PROTOCOL_UDP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../src/wire/ipv4.js';
import { UDP_HEADER_BYTES, writeUdpHeader } from '../../src/wire/udp.js';
import {
  addressOf,
  coreOf,
  epochOf,
  type Flow,
  flowOf,
  SERVICE_PORT,
  sequenceOf,
  toOf,
  writeNumbered,
} from './numbered.js';
import type { PeerTallies, Tallies } from './tallies.js';

/** Silence after which the requests of a flow are given up. */
const GIVE_UP_MS = 150;
const LOOK_MS = 10;
/** Requests of a flow whose fate is remembered; more than can be under way and late. */
const REMEMBERED = 1024;
const BURST = 32;
const FIRST_PORT = 20_000;
const HEADERS = IPV4_HEADER_BYTES + UDP_HEADER_BYTES;

/** What became of a request. */
const WAITING = 1;
const GIVEN_UP = 2;
const ANSWERED = 3;

class OwnFlow implements Flow {
  next = 0;
  waiting = 0;
  /** The answer that came last. */
  last = -1;
  heardAt = 0;
  window = 1;
  readonly fate = new Uint8Array(REMEMBERED);

  constructor(
    readonly from: number,
    readonly to: number,
    readonly core: number,
    readonly flow: number,
    readonly epoch: number,
    readonly port: number,
  ) {}
}

export interface RequesterOptions {
  readonly self: number;
  readonly peers: readonly number[];
  readonly epoch: number;
  /** Flows with each peer. */
  readonly flows: number;
  /** Requests of a flow under way. */
  readonly window: number;
}

export class Requester {
  isRunning = false;
  private readonly flows: OwnFlow[] = [];
  private readonly byPeer = new Map<number, OwnFlow[]>();
  private readonly peerTallies: Record<number, PeerTallies> = {};
  private cursor = 0;
  private nextLook = 0;

  constructor(
    private readonly core: Core,
    private readonly tallies: Tallies,
    private readonly options: RequesterOptions,
  ) {
    const { self, peers, epoch } = options;
    for (const peer of peers) {
      this.peerTallies[peer] = { sent: 0, answered: 0, missing: 0, waiting: 0 };
      const ports = ownPorts(core, addressOf(peer), options.flows);
      const flows = ports.map((port, flow) => new OwnFlow(self, peer, core.index, flow, epoch, port));
      this.byPeer.set(peer, flows);
      this.flows.push(...flows);
    }
  }

  /** Of each peer. */
  report(): Record<number, PeerTallies> {
    for (const [peer, flows] of this.byPeer) {
      this.peerTallies[peer]!.waiting = flows.reduce((sum, { waiting }) => sum + waiting, 0);
    }
    return structuredClone(this.peerTallies);
  }

  poll(): number {
    const now = performance.now();
    if (now >= this.nextLook) this.giveUp(now);
    return this.isRunning ? this.send(now) : 0;
  }

  /** Bounded, because a full ring does not wake the core when it has room again, and requests are given up in time. */
  maxSleepMs(): number {
    if (this.isRunning && this.flows.some(({ waiting, window }) => waiting < window)) return 1;
    return this.flows.some(({ waiting }) => waiting > 0) ? LOOK_MS : Number.POSITIVE_INFINITY;
  }

  /** Takes an answer: a sound packet that this endpoint sent. */
  take(u8: Uint8Array, at: number): void {
    const { tallies, options, core } = this;
    if (epochOf(u8, at) !== options.epoch) {
      tallies.stale++;
      return;
    }
    const peer = toOf(u8, at);
    const flow = this.byPeer.get(peer)?.[flowOf(u8, at)];
    if (flow === undefined || coreOf(u8, at) !== core.index) {
      tallies.misplaced++;
      return;
    }
    this.answered(flow, sequenceOf(u8, at));
  }

  private answered(flow: OwnFlow, sequence: number): void {
    const { tallies } = this;
    const peer = this.peerTallies[flow.to]!;
    const place = sequence % REMEMBERED;
    if (sequence >= flow.next) {
      tallies.corrupt++;
      return;
    }
    if (sequence <= flow.next - REMEMBERED) {
      tallies.stale++;
      return;
    }
    const fate = flow.fate[place]!;
    if (fate === ANSWERED) {
      tallies.duplicate++;
      return;
    }
    if (sequence < flow.last) tallies.disorder++;
    flow.last = Math.max(flow.last, sequence);
    flow.fate[place] = ANSWERED;
    flow.heardAt = performance.now();
    flow.window = this.options.window;
    tallies.answered++;
    peer.answered++;
    if (fate === GIVEN_UP) {
      tallies.late++;
      tallies.missing--;
      peer.missing--;
    } else flow.waiting--;
  }

  private giveUp(now: number): void {
    this.nextLook = now + LOOK_MS;
    for (const flow of this.flows) {
      if (flow.waiting === 0 || now - flow.heardAt < GIVE_UP_MS) continue;
      for (let i = 0; i < REMEMBERED; i++) if (flow.fate[i] === WAITING) flow.fate[i] = GIVEN_UP;
      this.tallies.missing += flow.waiting;
      this.peerTallies[flow.to]!.missing += flow.waiting;
      flow.waiting = 0;
      flow.window = 1;
    }
  }

  private send(now: number): number {
    let sent = 0;
    for (let tried = 0; tried < this.flows.length && sent < BURST; tried++) {
      const flow = this.flows[this.cursor]!;
      this.cursor = this.cursor + 1 === this.flows.length ? 0 : this.cursor + 1;
      if (flow.waiting >= flow.window) continue;
      if (!this.sendOne(flow)) break;
      if (flow.waiting === 1) flow.heardAt = now;
      sent++;
    }
    return sent;
  }

  private sendOne(flow: OwnFlow): boolean {
    const { core } = this;
    const buffer = core.getBufferTx();
    if (buffer === null) return false;
    const { memory } = core;
    const ip = buffer.offset;
    const bytes = writeNumbered(memory.u8, ip + HEADERS, flow, flow.next, core.mtu - HEADERS);
    buffer.length = HEADERS + bytes;
    writeIpv4Header(memory, ip, buffer.length, IP_PROTOCOL_UDP, core.address, addressOf(flow.to));
    writeUdpHeader(memory, ip, ip + IPV4_HEADER_BYTES, UDP_HEADER_BYTES + bytes, flow.port, SERVICE_PORT);
    if (!core.addBufferToRing(buffer)) {
      core.release(buffer);
      return false;
    }
    flow.fate[flow.next % REMEMBERED] = WAITING;
    flow.next++;
    flow.waiting++;
    this.tallies.sent++;
    this.peerTallies[flow.to]!.sent++;
    return true;
  }
}

/** Source ports with which the answers come back to this core. */
function ownPorts(core: Core, peer: number, count: number): number[] {
  const ports: number[] = [];
  const answer = { protocol: IP_PROTOCOL_UDP, source: peer, destination: core.address, sourcePort: SERVICE_PORT };
  for (let port = FIRST_PORT; ports.length < count && port <= 0xffff; port++) {
    if (core.rssCoreFor({ ...answer, destinationPort: port }) === core.index) ports.push(port);
  }
  return ports;
}
