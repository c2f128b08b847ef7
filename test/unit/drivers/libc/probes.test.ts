/** What libc finds out about sockets and interfaces without touching them. */
import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isInterfaceUp, isSocketInUse } from '../../../../drivers/libc/index.js';
import { openFds } from '../../../support/resources.js';

describe('isSocketInUse', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'probe-'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('is true while a process listens, false for an abandoned socket, a file, nothing', async () => {
    const [path, left] = [join(directory, 'a.sock'), join(directory, 'left.sock')];
    const server = createServer(() => {
      throw new Error('somebody has connected');
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const before = openFds();
    expect(isSocketInUse(path)).toBe(true);
    linkSync(path, left);
    // Another name of the same file.
    expect(isSocketInUse(left)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    expect(isSocketInUse(left)).toBe(false);
    writeFileSync(path, '');
    expect(isSocketInUse(path)).toBe(false);
    expect(isSocketInUse(join(directory, 'none'))).toBe(false);
    expect(openFds()).toBeLessThanOrEqual(before);
  });

  it('has no answer for a path that is too long for a socket', () => {
    expect(isSocketInUse(join(directory, 'x'.repeat(120)))).toBeNull();
  });
});

describe('isInterfaceUp', () => {
  it('has no answer for an interface that is not there', () => {
    const before = openFds();
    expect(isInterfaceUp('no-such-if0')).toBeNull();
    expect(isInterfaceUp('lo')).not.toBeNull();
    expect(openFds()).toBe(before);
  });
});
