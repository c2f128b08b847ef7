/**
 * Steps of a run, as fast-check's commands. A step is first done to the real ends and returns an explanation: a
 * function that does the same to the model, and throws where the specification does not allow what was seen.
 *
 * Two steps at once (`Race`) are allowed if they are allowed one after the other, in either order.
 */
import type fc from 'fast-check';
import { interleave } from './interleave.js';
import { demand, Violation } from './virtqueue.js';

export interface State<R> {
  clone(): State<R>;
  /** What must hold between steps: both ends and the model agree on the owner of each buffer. */
  check(real: R): void;
}

/** What fast-check keeps for us: the model changes as a whole. */
export interface Holder<S> {
  state: S;
}

/**
 * How notifications are judged. If the other side changed its wish meanwhile, a notification may follow the former wish
 * (`spurious`). A side that changes its wish after the buffers were there sees them itself (`any`).
 */
export type Notice = 'exact' | 'spurious' | 'any';

/**
 * `racing`: the other side acted meanwhile. Our receive burst is not one step for it: it takes out, and then refills.
 */
export type Explanation<S> = (state: S, notice: Notice, racing: boolean) => void;

export interface Step<S, R> {
  readonly side: 'driver' | 'device';
  readonly name: string;
  /** The step changes what this side wants to be notified of. */
  readonly isWish?: boolean;
  /** Whether it can be done now. What the other side does in between must not change that. */
  ready(state: S): boolean;
  run(real: R): Explanation<S>;
}

export class Alone<S extends State<R>, R> implements fc.Command<Holder<S>, R> {
  constructor(private readonly step: Step<S, R>) {}

  check({ state }: Readonly<Holder<S>>): boolean {
    return this.step.ready(state);
  }

  run({ state }: Holder<S>, real: R): void {
    this.step.run(real)(state, 'exact', false);
    state.check(real);
  }

  toString(): string {
    return `${this.step.side}: ${this.step.name}`;
  }
}

export class Race<S extends State<R>, R> implements fc.Command<Holder<S>, R> {
  /** `inner` happens right before the atomic access number `at` of `outer`. */
  constructor(
    private readonly outer: Step<S, R>,
    private readonly inner: Step<S, R>,
    private readonly at: number,
  ) {}

  check({ state }: Readonly<Holder<S>>): boolean {
    return this.outer.side !== this.inner.side && this.outer.ready(state) && this.inner.ready(state);
  }

  run(holder: Holder<S>, real: R): void {
    let inner: Explanation<S> = () => {};
    const outer = interleave(
      this.at,
      () => this.outer.run(real),
      () => {
        inner = this.inner.run(real);
      },
    );
    const reasons: string[] = [];
    const [a, b] = [
      { explain: inner, other: this.outer },
      { explain: outer, other: this.inner },
    ];
    for (const [first, second] of [
      [a, b],
      [b, a],
    ] as const) {
      const state = holder.state.clone() as S;
      try {
        first.explain(state, first.other.isWish ? 'any' : 'exact', true);
        second.explain(state, second.other.isWish ? 'spurious' : 'exact', true);
        state.check(real);
        holder.state = state;
        return;
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        reasons.push(error.message);
      }
    }
    throw new Violation(`in neither order: ${reasons.join('; nor: ')}`);
  }

  toString(): string {
    const { outer, inner, at } = this;
    return `${outer.side}: ${outer.name}, at its access ${at} ${inner.side}: ${inner.name}`;
  }
}

/** Demands a notification that is due, and none that is not. */
export function notified(due: boolean, given: boolean, notice: Notice, whom: string, how: string): void {
  demand(given || !due || notice === 'any', `${whom} was to be notified, and there was no ${how}: a lost wake-up`);
  demand(due || !given || notice !== 'exact', `there was a ${how} that nobody asked for`);
}
