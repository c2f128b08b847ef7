/**
 * Tries every order of the steps of the owner and the borrower of a transmit queue, and reports what goes wrong in any
 * order.
 */
import { advance, type Task } from '../../model/step-by-step.js';
import {
  type Actor,
  Borrower,
  type BorrowerFacts,
  type Event,
  faultsAtRest,
  Owner,
  type OwnerFacts,
} from './lending-model.js';
import { copyOf, modelAtomics, newSharedState, presentStep, type SharedState, type Side } from './lending-state.js';

export interface Scenario {
  /** What happens to the owner's device, call by call. */
  readonly script: readonly string[];
  /**
   * `sleeps`: in its event loop, and polls now and then. `spins`: polls without end and never returns to its event
   * loop. `blocks`: polls when it is woken, and never returns to its event loop either.
   */
  readonly borrower: 'sleeps' | 'spins' | 'blocks';
  /** Whether the borrower may give the queue back at any time, or its thread may die at any time. */
  readonly end?: 'closes' | 'dies';
  /** The word whose stores are exchanged with the access after them. */
  readonly late?: number;
}

export interface Outcome {
  /** How many states there are in all orders, and in how many of them both sides are at rest. */
  readonly states: number;
  readonly rests: number;
  /** What is wrong in some order, and the steps that lead to the first fault of its kind. */
  readonly faults: ReadonlyMap<string, readonly string[]>;
}

interface Thread<F> {
  readonly tasks: readonly Task<Event>[];
  readonly facts: F;
  /** It polls, and the other side cannot act: the state that it polls in. */
  readonly pollsIn?: string | undefined;
}

interface State {
  readonly sharedState: SharedState;
  readonly owner: Thread<OwnerFacts>;
  readonly borrower: Thread<BorrowerFacts>;
  readonly from: State | null;
  readonly step: string;
}

/** What one side can do next. */
interface Move {
  readonly side: Side;
  /** The event that it begins with; null: it continues its task. */
  readonly event: Event | null;
  /** What the event removes from the shared state. */
  readonly before: (sharedState: SharedState) => void;
}

const nothing = (): void => {};
const inTask = ({ tasks }: Thread<unknown>): boolean => tasks.length > 0 && !tasks.at(-1)!.isDone;
const call = (name: string): Event => ({ kind: 'call', call: name });
const isPoll = (event: Event | null): boolean => event?.kind === 'call' && event.call === 'poll';
/** Calls that were begun; the last one may still wait. */
const callsOf = ({ tasks }: Thread<unknown>): number => tasks.filter(({ event }) => event.kind === 'call').length;
const hasClosed = ({ tasks }: Thread<unknown>): boolean =>
  tasks.some(({ event }) => event.kind === 'call' && event.call === 'close');
function nameOf(event: Event): string {
  if (event.kind === 'call') return event.call;
  if (event.kind === 'closed') return 'is told that the channel is closed';
  const { message } = event;
  return `message ${message.kind}${message.kind === 'start' ? ` ${message.state}` : ''}`;
}

export async function explore(scenario: Scenario): Promise<Outcome> {
  const restore = modelAtomics();
  presentStep.late = scenario.late ?? null;
  presentStep.breaks = scenario.script.includes('broken');
  try {
    return await new Explorer(scenario).run();
  } finally {
    restore();
  }
}

class Explorer {
  private readonly seen = new Set<string>();
  private readonly queue: State[] = [];
  private readonly faults = new Map<string, readonly string[]>();
  private rests = 0;

  constructor(private readonly scenario: Scenario) {}

  async run(): Promise<Outcome> {
    const { queue } = this;
    const owner = { tasks: [], facts: this.make('owner').facts() as OwnerFacts };
    const borrower = { tasks: [], facts: this.make('borrower').facts() as BorrowerFacts };
    this.add({ sharedState: newSharedState(), owner, borrower, from: null, step: '' });
    // The shortest way to each state first.
    for (let next = 0; next < queue.length; next++) {
      const state = queue[next]!;
      const moves = this.movesIn(state);
      for (const move of moves) await this.take(state, move, moves.length === 1);
      this.look(state, moves);
    }
    return { states: queue.length, rests: this.rests, faults: this.faults };
  }

  private make(side: Side): Actor {
    return side === 'owner' ? new Owner(this.scenario.borrower === 'blocks') : new Borrower();
  }

  private add(state: State): void {
    const key = keyOf(state);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.queue.push(state);
  }

  private movesIn({ sharedState, owner, borrower }: State): Move[] {
    const { script } = this.scenario;
    const moves: Move[] = [];
    if (inTask(owner)) moves.push({ side: 'owner', event: null, before: nothing });
    else {
      moves.push(...heard(sharedState, 'owner'));
      const called = callsOf(owner);
      const event = call(script[called] ?? '');
      if (called < script.length && called === owner.facts.calls) moves.push({ side: 'owner', event, before: nothing });
    }
    if (sharedState.isDead || !sharedState.isLent) return moves;
    if (inTask(borrower)) moves.push({ side: 'borrower', event: null, before: nothing });
    else moves.push(...this.movesOfBorrower(sharedState, borrower));
    return moves;
  }

  private movesOfBorrower(sharedState: SharedState, borrower: Thread<BorrowerFacts>): Move[] {
    const { borrower: kind, end } = this.scenario;
    const side = 'borrower';
    if (!borrower.facts.isMade) return [{ side, event: call('take up'), before: nothing }];
    const moves: Move[] = kind === 'sleeps' ? heard(sharedState, side) : [];
    if (end === 'closes' && !hasClosed(borrower)) moves.push({ side, event: call('close'), before: nothing });
    const heed = (copy: SharedState): void => {
      copy.wakes = 0;
    };
    if (kind !== 'blocks') moves.push({ side, event: call('poll'), before: nothing });
    else if (sharedState.wakes > 0) moves.push({ side, event: call('poll'), before: heed });
    return moves;
  }

  /** One step of one side. */
  private async take(state: State, { side, event, before }: Move, isOnly: boolean): Promise<void> {
    const sharedState = copyOf(state.sharedState);
    before(sharedState);
    const thread = state[side];
    const tasks = event === null ? thread.tasks : [...thread.tasks, { event, results: [], isDone: false }];
    const actor = this.make(side);
    presentStep.sharedState = sharedState;
    const step = `${side}: ${nameOf(tasks.at(-1)!.event)}`;
    try {
      const last = await advance(tasks, (what) => actor.act(what));
      const moved = { tasks: [...tasks.slice(0, -1), last], facts: actor.facts() };
      // Valid as long as the other side could not have acted since the poll began.
      const pollsIn = !isOnly ? undefined : isPoll(event) ? keyOf(state) : thread.pollsIn;
      const next = {
        ...state,
        sharedState,
        from: state,
        step,
        [side]: last.isDone ? moved : { ...moved, pollsIn },
      } as State;
      // It may poll for ever: polling changes nothing.
      if (last.isDone && keyOf(next) === pollsIn) this.atRest(next);
      this.add(next);
    } catch (error) {
      this.fault((error as Error).message, { ...state, from: state, step });
    }
    if (this.scenario.end === 'dies' && side === 'borrower') this.kill(state);
  }

  private kill(state: State): void {
    const sharedState = copyOf(state.sharedState);
    sharedState.isDead = true;
    sharedState.closed.borrower = true;
    sharedState.mail.borrower = [];
    this.add({ ...state, sharedState, from: state, step: 'borrower: dies' });
  }

  private look(state: State, moves: readonly Move[]): void {
    // A side that sleeps in its event loop may poll, but need not.
    if (this.scenario.borrower === 'sleeps' ? moves.every(({ event }) => isPoll(event)) : moves.length === 0)
      this.atRest(state);
  }

  private atRest(state: State): void {
    this.rests++;
    const { sharedState, owner, borrower } = state;
    for (const fault of faultsAtRest(sharedState, owner.facts, borrower.facts, this.scenario.script))
      this.fault(fault, state);
  }

  private fault(what: string, state: State): void {
    if (this.faults.has(what)) return;
    const steps: string[] = [];
    for (let at = state; at.from !== null; at = at.from) {
      const [, step, times = '1'] = /^(.*?)(?: \((\d+) steps\))?$/.exec(steps[0] ?? '')!;
      if (step === at.step) steps[0] = `${step} (${Number(times) + 1} steps)`;
      else steps.unshift(at.step);
    }
    this.faults.set(what, steps);
  }
}

/** What the event loop has for a side. */
function heard({ mail, closed, told }: SharedState, side: Side): Move[] {
  const [message] = mail[side];
  if (message !== undefined && !closed[side]) {
    return [
      { side, event: { kind: 'message', message }, before: (sharedState) => void sharedState.mail[side].shift() },
    ];
  }
  if (!(closed.owner || closed.borrower) || told[side]) return [];
  const tell = (sharedState: SharedState): void => {
    sharedState.told[side] = true;
  };
  return [{ side, event: { kind: 'closed' }, before: tell }];
}

/** All that decides what can come next. */
function keyOf({ sharedState, owner, borrower }: State): string {
  const part = (thread: Thread<unknown>): unknown => [
    thread.facts,
    inTask(thread) ? thread.tasks.at(-1) : 0,
    inTask(thread) ? (thread.pollsIn ?? 0) : 0,
  ];
  const { words, ...rest } = sharedState;
  return JSON.stringify([words.slice(32, 36), rest, part(owner), part(borrower), callsOf(owner), hasClosed(borrower)]);
}
