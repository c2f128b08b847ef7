/** The Rx worker's side of the cores' questions about neighbours: one ARP request for all who ask, an answer to each. */
import { NeighbourState } from '../../../rings/neighbour-reader.js';
import { type NeighbourEvents, type Neighbours, RESOLVE_REFUSED } from '../../link/neighbours/neighbours.js';
import { ANSWER_FAILED, ANSWER_RESOLVED, ASK_RECONFIRM } from '../core/remote-neighbours.js';
import type { Doorbell } from '../doorbell.js';
import type { NeighbourMail } from '../neighbour-mail.js';

export interface DeskLine {
  readonly asks: NeighbourMail;
  readonly answers: NeighbourMail;
  readonly doorbell: Doorbell;
}

export class NeighbourDesk implements NeighbourEvents {
  /** Address -> the cores that wait for it. */
  private readonly askers = new Map<number, Set<number>>();
  private readonly scratch = new Uint16Array(3);

  /** @param lines a line a core */
  constructor(
    private readonly neighbours: Neighbours,
    private readonly lines: readonly DeskLine[],
  ) {
    neighbours.events = this;
  }

  /** Takes the questions of all cores. To be called when one may have come. */
  takeQuestions(): void {
    for (let core = 0; core < this.lines.length; core++) {
      this.lines[core].asks.takeAll((ip, kind) => this.question(core, ip, kind));
    }
  }

  resolved(ip: number): void {
    this.answerAll(ip, ANSWER_RESOLVED);
  }

  failed(ip: number): void {
    this.answerAll(ip, ANSWER_FAILED);
  }

  private question(core: number, ip: number, kind: number): void {
    const { neighbours } = this;
    const state = neighbours.table.lookup(ip, this.scratch);
    if (kind === ASK_RECONFIRM) {
      if (state === NeighbourState.STALE) neighbours.reconfirm(ip);
      return;
    }
    if (state !== NeighbourState.FREE) {
      // Learned since the core looked.
      this.answer(core, ip, ANSWER_RESOLVED);
      return;
    }
    if (neighbours.resolve(ip) === RESOLVE_REFUSED) {
      this.answer(core, ip, ANSWER_FAILED);
      return;
    }
    const cores = this.askers.get(ip);
    if (cores === undefined) this.askers.set(ip, new Set([core]));
    else cores.add(core);
  }

  private answerAll(ip: number, outcome: number): void {
    const cores = this.askers.get(ip);
    if (cores === undefined) return;
    this.askers.delete(ip);
    for (const core of cores) this.answer(core, ip, outcome);
  }

  private answer(core: number, ip: number, outcome: number): void {
    const { answers, doorbell } = this.lines[core];
    // The ring has room for an answer to each question that a core can have open.
    answers.send(ip, outcome);
    doorbell.ring();
  }
}
