/** Closing what others sent: never on the event loop, and what hangs for one owner does not hold back another. */
import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { closeInPlace, eventfd, FileCloser, memfd } from '../../drivers/libc/index.js';
import { describeWith, fuse } from '../support/requirements.js';
import { SilentFuse } from '../support/silent-fuse.js';
import { until } from '../support/until.js';

function isOpen(fd: number): boolean {
  try {
    readlinkSync(`/proc/self/fd/${fd}`);
    return true;
  } catch {
    return false;
  }
}

describe('FileCloser', () => {
  it('closes descriptors soon, not at once', async () => {
    const closer = new FileCloser();
    const fds = Array.from({ length: 200 }, () => eventfd());
    for (const fd of fds) closer.close(fd);
    expect(fds.every(isOpen)).toBe(true);
    expect(closer.pending).toBe(200);
    await until('all to be closed', () => closer.pending === 0);
    expect(fds.some(isOpen)).toBe(false);
  });

  it('is full when more wait than a peer may have', async () => {
    const closer = new FileCloser();
    const fds = Array.from({ length: 1024 }, () => eventfd());
    for (const [i, fd] of fds.entries()) {
      expect(closer.isFull).toBe(false);
      closer.close(fd);
      expect(closer.isFull).toBe(i === 1023);
    }
    await until('all to be closed', () => closer.pending === 0);
    expect(closer.isFull).toBe(false);
  });

  it('survives a number that is no descriptor', async () => {
    const closer = new FileCloser();
    closer.close(99_999);
    await until('it to be dealt with', () => closer.pending === 0);
  });

  it('closes in place what nobody else has', () => {
    const fd = memfd('x', 4096, false);
    closeInPlace.close(fd);
    expect(isOpen(fd)).toBe(false);
  });
});

describeWith('a close that hangs', [fuse], () => {
  it('holds back its owner alone', async () => {
    const server = await SilentFuse.mount();
    try {
      const hanging = new FileCloser();
      const other = new FileCloser();
      const fds = await Promise.all(Array.from({ length: 3 }, () => server.open()));
      server.silent = true;
      for (const fd of fds) hanging.close(fd);
      await until('the server to be asked', () => server.unanswered.includes('FLUSH'));
      for (let round = 0; round < 3; round++) {
        const fd = eventfd();
        other.close(fd);
        await until('the other to be closed', () => !isOpen(fd));
      }
      // One is under way; those behind it did not take a thread each.
      expect(hanging.pending).toBe(3);
      expect(server.unanswered.filter((name) => name === 'FLUSH')).toHaveLength(1);
      server.abort();
      await until('the end of them', () => hanging.pending === 0);
    } finally {
      await server.unmount();
    }
  });
});

describe('a process', () => {
  it('ends with its own exit code while its thread closes', () => {
    const built = fileURLToPath(new URL('../../dist/drivers/libc/index.js', import.meta.url));
    const source = `
      const { FileCloser, eventfd } = await import(${JSON.stringify(built)});
      new FileCloser().close(eventfd());
      console.log('last words');
      setImmediate(() => process.exit(7));`;
    const run = (): string =>
      execFileSync(process.execPath, ['--input-type=module', '-e', source], { timeout: 15_000 }).toString();
    expect(run).toThrow(expect.objectContaining({ status: 7, stdout: Buffer.from('last words\n') }));
  });
});
