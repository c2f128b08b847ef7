/** What a fuzz target is. */
import type { Feedback } from './feedback.js';
import type { Input } from './input.js';

export interface FuzzTarget {
  readonly name: string;
  /** One line: what is fed with what, and what must hold. */
  readonly summary: string;
  /** Longest case in bytes. */
  readonly maxBytes: number;
  /** Words that mutations put in. */
  readonly dictionary?: readonly string[];
  /** A case that takes longer than this many milliseconds is a finding; the driver's bound for hangs where left out. */
  readonly maxMs?: number;
  /** Makes what the cases share; nothing in it may carry over from one case to the next. */
  prepare(feedback: Feedback): TargetRun | Promise<TargetRun>;
}

export interface TargetRun {
  /** Runs one case. Whatever it throws is a finding. */
  run(input: Input): void | Promise<void>;
  close?(): void;
}

/** Throws when something does not hold that must. */
export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
