/**
 * Ends a test run with a summary: each suite or test that could not run here, by name and with the command that enables
 * it, each file that did not finish, and one line of totals.
 */
import type { Reporter, TestModule, TestSuite } from 'vitest/node';
import { SKIP_MARK } from './requirements.js';

function* suitesOf(modules: readonly TestModule[]): Generator<TestSuite> {
  for (const module of modules) yield* module.children.allSuites();
}

function isUnfinished(module: TestModule): boolean {
  const state = module.state();
  return state === 'pending' || state === 'queued';
}

/** Says how many of the tests have a result, for example `3 of 10 tests reported`. */
function reported(module: TestModule): string {
  const tests = [...module.children.allTests()];
  const results = tests.filter((test) => test.result().state !== 'pending').length;
  return `${results} of ${tests.length} tests reported`;
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Set<string>();
    for (const suite of suitesOf(modules)) {
      if (suite.name.includes(SKIP_MARK)) skipped.add(suite.name);
    }
    const totals = { passed: 0, failed: 0, skipped: 0 };
    const unfinished: string[] = [];
    for (const module of modules) {
      // The process of the file has ended before its last test, which Vitest reports without the name of the file.
      if (isUnfinished(module)) {
        unfinished.push(`${module.relativeModuleId}: ${reported(module)}`);
        totals.failed++;
      }
      // A file that did not load, or whose hook threw, has no failed test, but is a failure.
      if (module.errors().length > 0) totals.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'pending') continue;
        totals[result.state]++;
        if (result.state === 'skipped' && result.note?.includes(SKIP_MARK))
          skipped.add(`${test.fullName} ${result.note}`);
      }
    }
    const lines: string[] = [];
    if (skipped.size > 0) {
      lines.push('', 'Could not run on this machine:');
      for (const name of skipped) lines.push(`  ${name}`);
    }
    if (unfinished.length > 0) lines.push('', 'Did not finish:', ...unfinished.map((line) => `  ${line}`));
    const skippedCount = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
    lines.push('', `${totals.passed} passed, ${totals.failed} failed${skippedCount}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}
