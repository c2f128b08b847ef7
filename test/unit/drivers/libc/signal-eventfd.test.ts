/** Signals to an eventfd that another process has open, too: they never wait, whatever that process did to it. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { abi, closeFile, eventfd, signalEventfd } from '../../../../drivers/libc/index.js';
import { AioSignaller, CheckedWriter } from '../../../../drivers/libc/signal-eventfd.js';
import { counterOf, fillCounter, makeBlocking, OVERFLOWN } from '../../../support/libc/hostile-eventfd.js';
import { openFds } from '../../../support/resources.js';

let fd = -1;
let before = 0;

beforeEach(() => {
  before = openFds();
  fd = eventfd();
});

afterEach(() => {
  closeFile(fd);
  expect(openFds()).toBe(before);
});

describe.each([
  ['Linux AIO', () => new AioSignaller()],
  ['a checked write', () => new CheckedWriter()],
])('a signal by %s', (_, make) => {
  const signaller = make();

  it('adds 1 to the counter', () => {
    for (let n = 0; n < 3; n++) signaller.signal(fd);
    expect(counterOf(fd)).toBe(3n);
  });

  it('adds 1 to the counter of a blocking eventfd', () => {
    makeBlocking(fd);
    signaller.signal(fd);
    expect(counterOf(fd)).toBe(1n);
  });

  it('does not wait where the counter is at its maximum', () => {
    fillCounter(fd);
    signaller.signal(fd);
    expect(counterOf(fd)).toBeGreaterThanOrEqual(OVERFLOWN - 1n);
  });

  it('does not wait where the eventfd is also blocking', () => {
    fillCounter(fd);
    makeBlocking(fd);
    for (let n = 0; n < 200; n++) signaller.signal(fd);
    expect(counterOf(fd)).toBeGreaterThanOrEqual(OVERFLOWN - 1n);
  });

  it('goes on after more signals than the kernel has room for events', () => {
    for (let n = 0; n < 1000; n++) signaller.signal(fd);
    expect(counterOf(fd)).toBe(1000n);
  });

  it('does nothing to a closed descriptor', () => {
    signaller.signal(999_999);
    signaller.signal(fd);
    expect(counterOf(fd)).toBe(1n);
  });
});

describe('signalEventfd', () => {
  it('wakes the reader of a full, blocking eventfd', () => {
    fillCounter(fd);
    makeBlocking(fd);
    signalEventfd(fd);
    expect(counterOf(fd)).toBe(OVERFLOWN);
  });

  it('does not touch a file that is no eventfd', () => {
    const file = openSync('/dev/full', abi.O_RDWR);
    signalEventfd(file);
    closeSync(file);
    signalEventfd(fd);
    expect(counterOf(fd)).toBe(1n);
  });

  it('does not touch a full terminal, on which write(2) would wait', () => {
    // A pseudo terminal that nobody reads.
    const pty = openSync('/dev/ptmx', abi.O_RDWR | abi.O_NONBLOCK);
    try {
      expect(() => {
        for (let n = 0; n < 1000; n++) writeSync(pty, Buffer.alloc(4096));
      }).toThrow('EAGAIN');
      makeBlocking(pty);
      signalEventfd(pty);
    } finally {
      closeSync(pty);
    }
  });
});

describe('AioSignaller', () => {
  it('takes the events for which another signaller has left no room', () => {
    const signaller = new AioSignaller();
    const { context, request } = signaller as unknown as {
      context: { submit(request: object): number };
      request: { aim(fd: number, eventfd: number): void };
    };
    request.aim(fd, fd);
    let submitted = 0;
    while (context.submit(request) === 1) submitted++;
    expect(submitted).toBeGreaterThan(64);
    signaller.signal(fd);
    expect(counterOf(fd)).toBe(BigInt(submitted + 1));
    signaller.destroy();
  });

  it('cannot signal any more once its context is gone, and does not wait either', () => {
    const signaller = new AioSignaller();
    signaller.destroy();
    signaller.signal(fd);
    expect(counterOf(fd)).toBe(0n);
  });
});
