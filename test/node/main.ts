/**
 * `npm run node-tests -- --node-source PATH`: runs Node's own tests, from a source tree of Node, over the stack. A test
 * applies when it passes with the kernel's sockets on this machine, needs nothing that the stack is not (rules.ts), and
 * makes a connection. Writes docs/node-tests.md with `--write`.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { page, type Result, summary } from './report.js';
import { flagsOf, whyNot } from './rules.js';
import { type Outcome, runOne } from './run-one.js';

const { values } = parseArgs({
  options: {
    'node-source': { type: 'string' },
    /** Prefixes of names, such as `net-socket,http-agent`. */
    filter: { type: 'string', default: 'net,http,https' },
    jobs: { type: 'string', default: '2' },
    /** Runs the tests with the kernel's sockets again. */
    fresh: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const { 'node-source': tree, filter, jobs, fresh, verbose, write } = values;
if (tree === undefined) {
  console.error(
    'usage: npm run node-tests -- --node-source PATH [--filter net,http] [--jobs N] [--fresh] [--verbose] [--write]',
  );
  process.exit(2);
}

const TIMEOUT_MS = 40_000;
const PRELOAD = new URL('./preload.js', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CACHE = join(ROOT, 'build', `node-tests-${process.version}.json`);
const folder = resolve(tree, 'test', 'parallel');
const prefixes = filter.split(',').map((part) => `test-${part}-`);
const names = readdirSync(folder)
  .filter(
    (name) =>
      /\.m?js$/.test(name) &&
      prefixes.some((prefix) => name.startsWith(prefix) || `${name.replace(/\.m?js$/, '')}-` === prefix),
  )
  .sort();

type Plain = Record<string, Pick<Outcome, 'status' | 'text'>>;
let plain: Plain = {};
try {
  if (!fresh) plain = JSON.parse(readFileSync(CACHE, 'utf8')) as Plain;
} catch {
  // There was no run before.
}

let runs = 0;
async function judge(name: string): Promise<Result> {
  const file = join(folder, name);
  const source = readFileSync(file, 'utf8');
  const reason = whyNot(source);
  if (reason !== null) return { name, verdict: 'no', reason };
  const options = { file, flags: flagsOf(source), timeoutMs: TIMEOUT_MS };
  const dir = (): string => join(tmpdir(), `tspmd-node-tests-${process.pid}-${runs++}`);
  plain[name] ??= await runOne({ ...options, preload: null, folder: dir() });
  const { status } = plain[name];
  if (status === 'skip') return { name, verdict: 'no', reason: 'skips itself here' };
  if (status !== 'pass') return { name, verdict: 'no', reason: 'fails with the kernel, too' };
  const { status: ours, text, segments } = await runOne({ ...options, preload: PRELOAD, folder: dir() });
  if (ours === 'pass')
    return segments > 0
      ? { name, verdict: 'pass', reason: '' }
      : { name, verdict: 'no', reason: 'makes no TCP connection' };
  return { name, verdict: 'fail', reason: ours === 'timeout' ? 'does not end' : 'fails', text };
}

const results: Result[] = [];
const queue = [...names];
async function work(): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const result = await judge(name);
    results.push(result);
    if (result.verdict === 'fail' || verbose) console.log(`${result.verdict.padEnd(4)} ${name} ${result.reason}`);
    if (result.verdict === 'fail' && verbose) console.log(result.text);
  }
}
await Promise.all(Array.from({ length: Number(jobs) }, work));
results.sort((a, b) => (a.name < b.name ? -1 : 1));
mkdirSync(join(ROOT, 'build'), { recursive: true });
writeFileSync(CACHE, JSON.stringify(plain));
console.log(summary(results));
if (write)
  writeFileSync(
    join(ROOT, 'docs', 'node-tests.md'),
    page(results, { source: readNodeVersion(tree), node: process.version }),
  );

/** The version of the source tree. */
function readNodeVersion(path: string): string {
  const text = readFileSync(join(path, 'src', 'node_version.h'), 'utf8');
  const part = (name: string): string => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1] ?? '?';
  return `v${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
}
