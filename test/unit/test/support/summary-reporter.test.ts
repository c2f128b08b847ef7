/** The end of a test run: no file is missing in it, also when its process ends before its tests do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../../../scripts/child.js';
import { temporaryDirectory } from '../../../support/resources.js';

const file = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(() => directory.remove());

/** Runs Vitest over test files, each with its text; returns the lines of its summary. */
async function summaryOf(files: Readonly<Record<string, string>>): Promise<string> {
  const config = { pool: 'forks', globals: true, reporters: [file('test/support/summary-reporter.ts')] };
  writeFileSync(join(directory.path, 'vitest.config.mjs'), `export default ${JSON.stringify({ test: config })}`);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory.path, name), text);
  const child = Child.spawn(process.execPath, [
    file('node_modules/vitest/vitest.mjs'),
    'run',
    '--root',
    directory.path,
  ]);
  await child.exited;
  return child.stdout;
}

it('names a file whose process was killed, and counts it as failed', async () => {
  const summary = await summaryOf({
    'good.test.js': "it('is good', () => {})",
    'killed.test.js': "it('ends', () => process.kill(process.pid, 'SIGKILL')); it('never runs', () => {})",
  });
  expect(summary).toContain('Did not finish:\n  killed.test.js: 0 of 2 tests reported\n');
  expect(summary).toContain('1 passed, 1 failed\n');
});
