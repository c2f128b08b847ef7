/**
 * The process that fuzzes one target; started by main.ts, which watches it. Prints a line now and then, and what it found.
 * Exit codes: 0 nothing found, 1 a finding or an error.
 */
import { parseArgs } from 'node:util';
import { readCorpus, saveFinding, writeCorpus } from './corpus.js';
import { type Finding, Fuzzer } from './engine.js';
import { sharedFeedback } from './feedback.js';
import { LastCaseFile } from './last-case.js';
import { loadTarget } from './targets/index.js';

const REPORT_MS = 5000;
/** Cases of a corpus, unless more are needed to reach all code that was reached. */
const MAX_CORPUS = 32;

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    'last-case': { type: 'string' },
    seconds: { type: 'string' },
    cases: { type: 'string' },
    seed: { type: 'string' },
    keep: { type: 'boolean' },
  },
});
// Node opens a descriptor when it is first asked for: not when a target is counting them.
const { stdout } = process;
const target = await loadTarget(values.target!);
const lastCase = new LastCaseFile(values['last-case']!);
const feedback = sharedFeedback();
const fuzzer = new Fuzzer(target, {
  seed: Number(values.seed),
  corpus: readCorpus(target.name),
  feedback,
  scratch: lastCase.scratch,
  onCase: (number, length) => lastCase.note(number, length),
});

const start = performance.now();
const startCpu = process.cpuUsage();
const endMs = values.seconds === undefined ? Number.POSITIVE_INFINITY : start + 1000 * Number(values.seconds);
const maxCases = values.cases === undefined ? Number.POSITIVE_INFINITY : Number(values.cases);
let reportAt = start + REPORT_MS;
let stopped = false;
process.on('SIGINT', () => {
  stopped = true;
});

function report(): void {
  const seconds = (performance.now() - start) / 1000;
  const { ran, all } = feedback.blocks();
  // Of the processor's time: what others do on the machine does not count.
  const { user, system } = process.cpuUsage(startCpu);
  const rate = Math.round(fuzzer.cases / ((user + system) / 1e6));
  const slowest = fuzzer.slowest > 0 ? `, slowest ${Math.round(fuzzer.slowest)} ms` : '';
  stdout.write(
    `${target.name}: ${fuzzer.cases} cases in ${seconds.toFixed(1)} s (${rate} a CPU second), ${ran} of ${all} blocks, ` +
      `${fuzzer.kept.length} kept${slowest}\n`,
  );
}

function isDone(cases: number): boolean {
  const now = performance.now();
  if (now >= reportAt) {
    report();
    reportAt = now + REPORT_MS;
  }
  return stopped || cases >= maxCases || now >= endMs;
}

const finding: Finding | null = await fuzzer.fuzz(isDone);
report();
if (finding !== null) {
  const file = saveFinding(target.name, finding.bytes);
  stdout.write(`${target.name}: ${finding.error.stack}\n`);
  stdout.write(`Saved; run it alone with: npm run fuzz -- ${target.name} --replay ${file}\n`);
  process.exitCode = 1;
} else if (values.keep) {
  const cases = await fuzzer.minimal(MAX_CORPUS);
  writeCorpus(target.name, cases);
  stdout.write(`${target.name}: the corpus has ${cases.length} cases now\n`);
}
fuzzer.close();
