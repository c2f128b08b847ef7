/** What the exit of a process waits for: threads that would abort the process if they were terminated. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { uninterrupted } from '../../../../../drivers/libc/ffi/uninterrupted.js';

const program = (name: string): string =>
  fileURLToPath(new URL(`../../../../../dist/test/support/libc/${name}.main.js`, import.meta.url));

describe('code that the end of the process does not interrupt', () => {
  it('returns its value, and throws its error', () => {
    expect(uninterrupted(() => 7)).toBe(7);
    expect(() =>
      uninterrupted(() => {
        throw new Error('thrown inside');
      }),
    ).toThrow('thrown inside');
  });

  it('is waited for, and does not begin once the process exits', () => {
    const { stdout, status } = spawnSync(process.execPath, [program('exiting')], { encoding: 'utf8', timeout: 20_000 });
    expect(stdout.split('\n')).toEqual(['exit', 'ended in good order', '']);
    expect(status).toBe(3);
  });

  it('is not needed to look up a function', () => {
    const options = { encoding: 'utf8', timeout: 20_000 } as const;
    const { stdout, status, signal } = spawnSync(process.execPath, [program('exit-in-lookup')], options);
    expect([stdout, status, signal]).toEqual(['exit\n', 3, null]);
  });
});
