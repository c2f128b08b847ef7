/**
 * A core's view of the neighbours: it reads the shared table, and asks the Rx worker, which alone writes the table, for
 * addresses that are not in it. One question at a time is open per neighbour; each gets one answer.
 */
import type { NeighbourReader } from '../../../rings/neighbour-reader.js';
import { AskLimit } from '../../link/neighbours/ask-limit.js';
import {
  type NeighbourEvents,
  type NeighbourResolver,
  RESOLVE_BEGUN,
  RESOLVE_REFUSED,
  RESOLVE_UNDER_WAY,
} from '../../link/neighbours/neighbours.js';
import {
  ANSWER_RESOLVED,
  ASK_RECONFIRM,
  ASK_RESOLVE,
  MAX_QUESTIONS,
  type NeighbourChannel,
} from '../shared/neighbour-channel.js';

/** How long an old neighbour that is in use is not reported again, in ms. */
const RECONFIRM_MS = 1000;
/** Old neighbours that are remembered as reported, by the low bits of their address. */
const REMEMBERED = 64;

/** The way to the Rx worker. */
export interface RxWorkerLine {
  readonly asks: NeighbourChannel;
  readonly answers: NeighbourChannel;
  /** Tells the Rx worker that there is a question. */
  notify(): void;
}

export class RemoteNeighbours implements NeighbourResolver {
  events: NeighbourEvents | null = null;
  private readonly open = new Set<number>();
  /**
   * The Rx worker has such a limit, too, for all cores. This one bounds how fast the packets that are parked here are
   * replaced.
   */
  private readonly limit: AskLimit;
  private readonly reportedAddress = new Int32Array(REMEMBERED);
  private readonly reportedAt = new Float64Array(REMEMBERED).fill(Number.NEGATIVE_INFINITY);

  /**
   * @param clock milliseconds, monotonic
   * @param host has the gateway, to which the limit of questions does not apply
   */
  constructor(
    readonly table: NeighbourReader,
    private readonly line: RxWorkerLine,
    private readonly clock: () => number,
    private readonly host: { readonly gateway: number },
  ) {
    this.limit = new AskLimit(clock);
  }

  /** Whether questions are open: {@link receiveAnswers} must then be called now and then. */
  get isAsking(): boolean {
    return this.open.size > 0;
  }

  /** Also refuses when too many questions are open. */
  resolve(ip: number): number {
    if (this.open.has(ip)) return RESOLVE_UNDER_WAY;
    if (this.open.size === MAX_QUESTIONS) return RESOLVE_REFUSED;
    if (ip !== this.host.gateway && !this.limit.take()) return RESOLVE_REFUSED;
    if (!this.line.asks.send(ip, ASK_RESOLVE)) return RESOLVE_REFUSED;
    this.open.add(ip);
    this.line.notify();
    return RESOLVE_BEGUN;
  }

  reconfirm(ip: number): void {
    const place = ip & (REMEMBERED - 1);
    const now = this.clock();
    if (this.reportedAddress[place] === ip && now - this.reportedAt[place] < RECONFIRM_MS) return;
    // If the ring is full, the next packet reports the neighbour again.
    if (!this.line.asks.send(ip, ASK_RECONFIRM)) return;
    this.reportedAddress[place] = ip;
    this.reportedAt[place] = now;
    this.line.notify();
  }

  /** Tells {@link events} what the Rx worker has answered. */
  receiveAnswers(): void {
    this.line.answers.receiveAll(this.onAnswer);
  }

  /** Made once, because answers are looked for at each poll while a question is open. */
  private readonly onAnswer = (ip: number, outcome: number): void => {
    if (!this.open.delete(ip)) return;
    if (outcome === ANSWER_RESOLVED) this.events?.resolved(ip);
    else this.events?.failed(ip);
  };
}
