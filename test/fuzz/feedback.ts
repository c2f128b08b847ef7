/**
 * What tells a case that did something new from one that did not: blocks of code that ran for the first time (where the
 * code was instrumented, see instrument.ts), and marks that the target itself makes of states worth telling apart.
 *
 * A block that ran before costs one load and one branch, so that every case is covered and not only a sample of them.
 */

const MARKS = 1 << 16;

/** What instrumented code calls: `c[i] || n(i)` at the head of block i. */
export interface ModuleCoverage {
  readonly c: Uint8Array;
  readonly n: (block: number) => void;
}

export class Feedback {
  /** Grows with each block or mark seen for the first time. */
  fresh = 0;
  private freshBlocks = 0;
  private readonly marks = new Uint8Array(MARKS);
  private readonly modules: Uint8Array[] = [];

  /** A module of `blocks` blocks; called by its first line. */
  module(blocks: number): ModuleCoverage {
    const c = new Uint8Array(blocks);
    this.modules.push(c);
    return {
      c,
      n: (block) => {
        c[block] = 1;
        this.fresh++;
        this.freshBlocks++;
      },
    };
  }

  /** Notes a state; only the low 16 bits count. */
  mark(state: number): void {
    const at = state & (MARKS - 1);
    if (this.marks[at] !== 0) return;
    this.marks[at] = 1;
    this.fresh++;
  }

  /** How many blocks, or blocks and marks, were seen. */
  seen(what: 'blocks' | 'all'): number {
    return what === 'blocks' ? this.freshBlocks : this.fresh;
  }

  /** Blocks that ran, and those there are in the modules loaded. */
  blocks(): { ran: number; all: number } {
    let ran = 0;
    let all = 0;
    for (const c of this.modules) {
      all += c.length;
      for (const one of c) ran += one;
    }
    return { ran, all };
  }

  /** As if nothing had run. */
  clear(): void {
    this.marks.fill(0);
    for (const c of this.modules) c.fill(0);
    this.fresh = 0;
    this.freshBlocks = 0;
  }
}

const KEY = Symbol.for('tspmd.fuzz.feedback');
const shared = globalThis as { [KEY]?: Feedback };

/** The one of this process: instrumented modules find it before anything else is loaded. */
export function sharedFeedback(): Feedback {
  shared[KEY] ??= new Feedback();
  return shared[KEY];
}

/** The first line of an instrumented module. */
export function prologue(blocks: number): string {
  return `const {c:$c,n:$n}=globalThis[Symbol.for('tspmd.fuzz.feedback')].module(${blocks});`;
}
