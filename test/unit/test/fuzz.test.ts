/** The fuzzer itself, and a short run of each of its targets. `npm run fuzz` has the long ones. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCorpus, writeCorpus } from '../../fuzz/corpus.js';
import { Fuzzer } from '../../fuzz/engine.js';
import { Feedback } from '../../fuzz/feedback.js';
import { instrument } from '../../fuzz/instrument.js';
import type { FuzzTarget } from '../../fuzz/target.js';
import { loadTarget, TARGET_NAMES } from '../../fuzz/targets/index.js';
import { temporaryDirectory } from '../../support/resources.js';

/** Cases of a short run; fewer if a case takes longer. */
const CASES = 10_000;
const FEWER: Readonly<Record<string, number>> = {
  'vhost-user': 1_500,
  'vhost-user-replies': 3_000,
  'bess-script': 2_000,
  'neighbour-policy': 3_000,
  frames: 5_000,
  'ip-fragments': 3_000,
  icmp: 1_500,
  'tcp-segments': 2_000,
  'tcp-options': 4_000,
  dns: 3_000,
  control: 2_000,
  'switch-offload': 3_000,
  'layer-offload': 1_500,
  vxlan: 4_000,
};

function fuzzerOf(target: FuzzTarget, corpus: readonly Uint8Array[] = []): { fuzzer: Fuzzer; feedback: Feedback } {
  const feedback = new Feedback();
  return { fuzzer: new Fuzzer(target, { seed: 7, corpus, feedback }), feedback };
}

describe('the targets', () => {
  it.each(TARGET_NAMES)(
    '%s holds',
    async (name) => {
      const target = await loadTarget(name);
      expect(target.name).toBe(name);
      const { fuzzer } = fuzzerOf(target, readCorpus(name));
      const finding = await fuzzer.fuzz((cases) => cases >= (FEWER[name] ?? CASES));
      fuzzer.close();
      if (finding !== null)
        throw new Error(`case ${Buffer.from(finding.bytes).toString('hex')}`, { cause: finding.error });
      expect(fuzzer.cases).toBeGreaterThanOrEqual(FEWER[name] ?? CASES);
    },
    120_000,
  );
});

describe('the corpus', () => {
  let folder: { path: string; remove: () => void };
  const file = (): string => join(folder.path, 'some.txt');

  beforeEach(() => {
    folder = temporaryDirectory();
  });

  afterEach(() => folder.remove());

  it('has a file for each target and no other', () => {
    const files = readdirSync(new URL('../../fuzz/corpus/', import.meta.url));
    expect(files.sort()).toEqual(TARGET_NAMES.map((name) => `${name}.txt`).sort());
    for (const name of TARGET_NAMES) expect(readCorpus(name)).not.toEqual([]);
  });

  it('reads what it wrote, each case once, as sorted lines', () => {
    const cases = [Uint8Array.of(), Uint8Array.of(0, 255), Uint8Array.of(7), Uint8Array.of(7)];
    writeCorpus('some', cases, folder.path);
    const text = readFileSync(file(), 'utf8');
    expect(text).toMatch(/^[0-9a-f]{12} ([0-9a-f]{2})*\n/);
    expect(text.split('\n').filter(Boolean)).toEqual(text.split('\n').filter(Boolean).sort());
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const read = readCorpus('some', folder.path);
    expect(read.map(hex).sort()).toEqual(['', '00ff', '07']);
    writeCorpus('some', read, folder.path);
    expect(readFileSync(file(), 'utf8')).toBe(text);
  });

  it('takes a file in which two branches were merged, and names a line that is no case', () => {
    writeCorpus('some', [Uint8Array.of(1), Uint8Array.of(2)], folder.path);
    const text = readFileSync(file(), 'utf8');
    writeFileSync(file(), text + text);
    expect(readCorpus('some', folder.path)).toHaveLength(2);
    writeFileSync(file(), `${text}<<<<<<< one branch\n`);
    expect(() => readCorpus('some', folder.path)).toThrow(/some\.txt:3: not a case/);
    writeFileSync(file(), text.replace(/01$/m, '03'));
    expect(() => readCorpus('some', folder.path)).toThrow(/not a case/);
  });

  it('is empty for a target without a file', () => {
    expect(readCorpus('none', folder.path)).toEqual([]);
  });
});

/** Fails for an input that begins with the bytes 7, 42, 99, which it compares one after the other. */
const staircase: FuzzTarget = {
  name: 'staircase',
  summary: 'for tests',
  maxBytes: 64,
  prepare: (feedback) => ({
    run: (input) => {
      if (input.u8() !== 7) return;
      feedback.mark(1);
      if (input.u8() !== 42) return;
      feedback.mark(2);
      if (input.u8() === 99) throw new Error('the top');
    },
  }),
};

describe('the fuzzer', () => {
  it('builds on cases that did something new, and shrinks a finding; seeds repeat it', async () => {
    const found: string[] = [];
    for (let run = 0; run < 2; run++) {
      const { fuzzer } = fuzzerOf(staircase);
      const finding = await fuzzer.fuzz((cases) => cases > 500_000);
      expect(finding?.error.message).toBe('the top');
      found.push(`${fuzzer.cases} ${Buffer.from(finding!.bytes).toString('hex')}`);
      const again = await fuzzer.replay(finding!.bytes);
      expect(again?.error.message).toBe('the top');
      expect(await fuzzer.replay(Uint8Array.of(7, 42))).toBeNull();
    }
    expect(found[0]).toMatch(/ 072a63$/);
    expect(found[1]).toBe(found[0]);
  });

  it('keeps those of its cases that are needed for all that was seen', async () => {
    const { fuzzer } = fuzzerOf(staircase, [
      Uint8Array.of(1),
      Uint8Array.of(7, 1),
      Uint8Array.of(7, 42),
      Uint8Array.of(2),
    ]);
    await fuzzer.fuzz(() => true);
    expect((await fuzzer.minimal(10)).map((bytes) => [...bytes])).toEqual([
      [7, 1],
      [7, 42],
    ]);
  });

  it('counts a case that takes too long as a finding', async () => {
    const slow: FuzzTarget = {
      ...staircase,
      maxMs: 5,
      prepare: () => ({ run: () => new Promise((resolve) => setTimeout(resolve, 20)) }),
    };
    const finding = await fuzzerOf(slow).fuzzer.replay(Uint8Array.of(1));
    expect(finding?.error.message).toMatch(/took \d+ ms; at most 5 are allowed/);
  });
});

describe('instrumented code', () => {
  const SOURCE = [
    'const pick = (a) => a ? "yes" : "no";',
    'export function run(a, b) {',
    '  let out = "";',
    '  for (const x of [a, b]) if (x > 1) out += pick(x && b); else if (x === 1) { out += "one" }',
    '  switch (a) { case 0: out += "zero"; break; default: { out += "more" } }',
    '  do out += "!"; while (out.length < 4)',
    '  try { if (b === 9) throw new Error(out); } catch { out += "caught" }',
    '  return [out, (() => ({ a }))().a ?? b, a || b, class { m() { return 1 } }.name];',
    '}',
  ].join('\n');

  it('does what it did, line for line, and reports each block once', () => {
    const text = instrument(SOURCE, 'x.js');
    expect(text.split('\n')).toHaveLength(SOURCE.split('\n').length);
    const told: number[] = [];
    const load = (source: string) =>
      new Function(
        '$feedback',
        `${source.replace('export ', '').replace(/globalThis\[.*?\]/, '$feedback')}; return run;`,
      )({
        module: (blocks: number) => {
          const c = new Uint8Array(blocks);
          return {
            c,
            n: (block: number) => {
              c[block] = 1;
              told.push(block);
            },
          };
        },
      }) as (a: unknown, b: unknown) => unknown[];
    const plain = load(SOURCE);
    const marked = load(text);
    const cases: [unknown, unknown][] = [
      [0, 1],
      [1, 2],
      [5, 9],
      [null, 3],
      [2, 0],
    ];
    for (const [a, b] of cases) expect(marked(a, b)).toEqual(plain(a, b));
    expect(new Set(told).size).toBe(told.length);
    const all = told.length;
    for (const [a, b] of cases) marked(a, b);
    expect(told).toHaveLength(all);
    expect(all).toBeGreaterThan(15);
  });
});
