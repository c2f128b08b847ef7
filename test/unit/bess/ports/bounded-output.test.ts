/** Work that may hang: its output until then is there in time, and its process does not stay. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { outputWithin } from '../../../../bess/ports/bounded-output.js';
import { openFds } from '../../../support/resources.js';
import { until } from '../../../support/until.js';

const PRINT = "require('node:fs').writeSync(1, process.argv[1]);";

/** Text of a process or thread that may just have ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Commands of the children of this process that have not ended. */
function children(): string[] {
  const tasks = readdirSync('/proc/self/task').map((task) => textOf(`/proc/self/task/${task}/children`));
  return tasks.flatMap((pids) => pids.match(/\d+/g) ?? []).map((pid) => textOf(`/proc/${pid}/cmdline`));
}

it('returns all that a program writes, at its end', () => {
  expect(outputWithin(30_000, PRINT, "7 'seven'\nend\n")).toBe("7 'seven'\nend\n");
});

it('returns what a program has written that does not end, and kills it', async () => {
  const before = openFds();
  const program = `${PRINT} process.on('SIGTERM', () => {}); for (;;);`;
  expect(outputWithin(1500, program, 'some\n')).toMatch(/^(some\n)?$/);
  await until('the end of the process', () => !children().some((command) => command.includes('for (;;)')));
  await until('its descriptors closed', () => openFds() <= before);
});
