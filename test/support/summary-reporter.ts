/**
 * Ends a test run with a summary: each suite or test that could not run here, by name and with the command that enables
 * it, and one line of totals.
 */
import type { Reporter, TestModule, TestSuite } from 'vitest/node';
import { SKIP_MARK } from './requirements.js';

function* suitesOf(modules: readonly TestModule[]): Generator<TestSuite> {
  for (const module of modules) yield* module.children.allSuites();
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Set<string>();
    for (const suite of suitesOf(modules)) {
      if (suite.name.includes(SKIP_MARK)) skipped.add(suite.name);
    }
    const totals = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
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
    const skippedCount = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
    lines.push('', `${totals.passed} passed, ${totals.failed} failed${skippedCount}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}
