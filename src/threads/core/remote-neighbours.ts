/**
 * A core's view of the neighbours: it reads the shared table, and asks the Rx worker, who alone writes it, for what is not
 * in there. One question at a time is open for a neighbour; each gets one answer.
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
import type { NeighbourMail } from '../neighbour-mail.js';

/** The kind of a question: resolve, answer me; or: in use and old, have it confirmed, no answer. */
export const ASK_RESOLVE = 0;
export const ASK_RECONFIRM = 1;
/** The kind of an answer. */
export const ANSWER_RESOLVED = 0;
export const ANSWER_FAILED = 1;

/** Questions that a core may have open. The rings have room for as many answers, so that none is ever lost. */
export const MAX_QUESTIONS = 512;
/** A neighbour that is in use and old is not named again for so long. */
const RECONFIRM_MS = 1000;
/** Old neighbours that are remembered as named, by the low bits of their address. */
const REMEMBERED = 64;

export interface AskLine {
  readonly asks: NeighbourMail;
  readonly answers: NeighbourMail;
  /** Tells the Rx worker that there is a question. */
  notify(): void;
}

export class RemoteNeighbours implements NeighbourResolver {
  events: NeighbourEvents | null = null;
  private readonly open = new Set<number>();
  /** The Rx worker has such a limit, too, for all cores. This one keeps what waits here from being replaced in no time. */
  private readonly limit: AskLimit;
  private readonly namedAddress = new Int32Array(REMEMBERED);
  private readonly namedAt = new Float64Array(REMEMBERED).fill(Number.NEGATIVE_INFINITY);

  /**
   * @param clock milliseconds, monotonic
   * @param gateway for which the limit of questions does not hold, signed bits; 0 where there is none
   */
  constructor(
    readonly table: NeighbourReader,
    private readonly line: AskLine,
    private readonly clock: () => number,
    private readonly gateway: number,
  ) {
    this.limit = new AskLimit(clock);
  }

  /** Whether questions are open: then {@link takeAnswers} is to be called now and then. */
  get isAsking(): boolean {
    return this.open.size > 0;
  }

  /** Refuses, besides, when too many questions are open. */
  resolve(ip: number): number {
    if (this.open.has(ip)) return RESOLVE_UNDER_WAY;
    if (this.open.size === MAX_QUESTIONS) return RESOLVE_REFUSED;
    if (ip !== this.gateway && !this.limit.take()) return RESOLVE_REFUSED;
    if (!this.line.asks.send(ip, ASK_RESOLVE)) return RESOLVE_REFUSED;
    this.open.add(ip);
    this.line.notify();
    return RESOLVE_BEGUN;
  }

  reconfirm(ip: number): void {
    const place = ip & (REMEMBERED - 1);
    const now = this.clock();
    if (this.namedAddress[place] === ip && now - this.namedAt[place] < RECONFIRM_MS) return;
    // Should the ring be full, the next packet names it again.
    if (!this.line.asks.send(ip, ASK_RECONFIRM)) return;
    this.namedAddress[place] = ip;
    this.namedAt[place] = now;
    this.line.notify();
  }

  /** Tells {@link events} what the Rx worker has answered. */
  takeAnswers(): void {
    this.line.answers.takeAll(this.onAnswer);
  }

  /** Made once: answers are looked for at each poll while a question is open. */
  private readonly onAnswer = (ip: number, outcome: number): void => {
    if (!this.open.delete(ip)) return;
    if (outcome === ANSWER_RESOLVED) this.events?.resolved(ip);
    else this.events?.failed(ip);
  };
}
