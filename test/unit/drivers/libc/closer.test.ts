/** Closing what others sent: never on the event loop, and what hangs for one owner does not hold back another. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  acceptUnix,
  closeInPlace,
  eventfd,
  FileCloser,
  listenUnix,
  MessageSocket,
  memfd,
} from '../../../../drivers/libc/index.js';
import { Child } from '../../../../scripts/child.js';
import { command, describeWith } from '../../../support/requirements.js';
import { openFds, untilFds } from '../../../support/resources.js';
import { until } from '../../../support/until.js';

/** Threads of this process. */
const nativeThreads = (): number => readdirSync('/proc/self/task').length;

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
    expect(closer.pending).toBe(200);
    expect(fds.slice(1).every(isOpen)).toBe(true);
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

  it('is not settled while descriptors are announced that come later', async () => {
    const closer = new FileCloser();
    const done = closer.hold();
    expect(await closer.settled(1)).toBe(1);
    const fd = eventfd();
    closer.close(fd);
    await until('it to be closed', () => !isOpen(fd));
    expect(await closer.settled(1)).toBe(1);
    const settled = closer.settled(10_000);
    done();
    expect(await settled).toBe(0);
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

const SOCKETS = 12;

/** Sends TCP sockets whose last close waits, for up to ten minutes, until the sender has gone. */
const LINGERING = `
import socket, struct, sys
unix = socket.socket(socket.AF_UNIX)
unix.connect(sys.argv[1])
server = socket.create_server(('127.0.0.1', 0))
peers = []
for i in range(${SOCKETS}):
    tcp = socket.create_connection(server.getsockname())
    peers.append(server.accept()[0])
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
    tcp.setblocking(False)
    try:
        while True: tcp.send(bytes(65536))
    except BlockingIOError: pass
    socket.send_fds(unix, [b'x'], [tcp.fileno()])
    tcp.close()
sys.stdin.read()
`;

describeWith('a close that hangs', [command('python3')], () => {
  it('holds back its owner alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-'));
    const listener = listenUnix(join(folder, 's'));
    const sender = Child.spawn('python3', ['-c', LINGERING, join(folder, 's')]);
    let connection = -1;
    try {
      await until('the sender', () => {
        connection = acceptUnix(listener, 'the listener') ?? -1;
        return connection >= 0;
      });
      const socket = new MessageSocket(connection, 'the sender');
      const fds: number[] = [];
      await until('all sockets', () => {
        fds.push(...(socket.receive(Buffer.allocUnsafeSlow(1))?.fds ?? []));
        return fds.length === SOCKETS;
      });
      const hanging = new FileCloser();
      const other = new FileCloser();
      for (const fd of fds) hanging.close(fd);
      await until('as many closes as there may be', () => fds.slice(0, 8).every((fd) => !isOpen(fd)));
      const threads = nativeThreads();
      for (let round = 0; round < 3; round++) {
        const fd = eventfd();
        other.close(fd);
        await until('the other to be closed', () => !isOpen(fd));
      }
      expect(await hanging.settled(1)).toBe(SOCKETS);
      // Those behind the eight did not take a thread each.
      expect(fds.slice(8).every(isOpen)).toBe(true);
      await until('the threads of the other to end', () => nativeThreads() <= threads);
      await sender.stop();
      expect(await hanging.settled(10_000)).toBe(0);
      await until('the end of the threads', () => nativeThreads() <= threads - 8);
    } finally {
      await sender.stop();
      if (connection >= 0) closeInPlace.close(connection);
      closeInPlace.close(listener);
      rmSync(folder, { recursive: true });
    }
  });
});

it('of a thread that ends leaves no descriptor open', async () => {
  const before = openFds();
  const built = new URL('../../../../dist/drivers/libc/index.js', import.meta.url).href;
  const source = `
    import('${built}').then(({ FileCloser, eventfd }) => {
      const closer = new FileCloser();
      for (let i = 0; i < 200; i++) closer.close(eventfd());
      process.exit();
    });`;
  await new Promise((resolve) => new Worker(source, { eval: true }).once('exit', resolve));
  await untilFds(before);
});

describe('a process', () => {
  it('ends with its own exit code while its thread closes', () => {
    const built = fileURLToPath(new URL('../../../../dist/drivers/libc/index.js', import.meta.url));
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
