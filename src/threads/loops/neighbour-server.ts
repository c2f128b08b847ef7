/**
 * The Rx worker's side of the cores' questions about neighbours: it sends one ARP request for all cores that ask, and
 * answers each of them. The other side is `core/remote-neighbours.ts`.
 */
import { NeighbourState } from '../../../rings/neighbour-reader.js';
import { type NeighbourEvents, type Neighbours, RESOLVE_REFUSED } from '../../link/neighbours/neighbours.js';
import type { Doorbell } from '../shared/doorbell.js';
import type { Interconnect } from '../shared/interconnect.js';
import { ANSWER_FAILED, ANSWER_RESOLVED, ASK_RECONFIRM, type NeighbourChannel } from '../shared/neighbour-channel.js';

/** A core that asks. */
interface Asker {
  readonly asks: NeighbourChannel;
  readonly answers: NeighbourChannel;
  readonly doorbell: Doorbell;
}

export class NeighbourServer implements NeighbourEvents {
  private readonly cores: readonly Asker[];
  /** Address -> the cores that wait for it. */
  private readonly waiting = new Map<number, Set<number>>();
  private readonly scratch = new Uint16Array(3);

  constructor(
    private readonly neighbours: Neighbours,
    interconnect: Interconnect,
  ) {
    this.cores = Array.from({ length: interconnect.plan.cores }, (_, core) => ({
      ...interconnect.neighbourChannels(core),
      doorbell: interconnect.coreDoorbell(core),
    }));
    neighbours.events = this;
  }

  /** Takes the questions of all cores. To be called when one may have come. */
  takeQuestions(): void {
    for (let core = 0; core < this.cores.length; core++) {
      this.cores[core].asks.receiveAll((ip, kind) => this.question(core, ip, kind));
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
    const cores = this.waiting.get(ip);
    if (cores === undefined) this.waiting.set(ip, new Set([core]));
    else cores.add(core);
  }

  private answerAll(ip: number, outcome: number): void {
    const cores = this.waiting.get(ip);
    if (cores === undefined) return;
    this.waiting.delete(ip);
    for (const core of cores) this.answer(core, ip, outcome);
  }

  private answer(core: number, ip: number, outcome: number): void {
    const { answers, doorbell } = this.cores[core];
    // The ring has room for an answer to each question that a core can have open.
    answers.send(ip, outcome);
    doorbell.ring();
  }
}
