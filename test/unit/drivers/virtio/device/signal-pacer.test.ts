/** Signals to a peer that makes them slow: the pacer sends fewer of them, and every signal that the peer needs. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SignalPacer } from '../../../../../drivers/virtio/device/signal-pacer.js';

/** Descriptors in the order in which they were signalled. */
let sent: number[] = [];
/** How long the next signals take, and how much of that is CPU time of this thread, in ms. */
let takes = 0;
let cpuShare = 1;
let cpu = 0;
let lines: string[] = [];
let pacer: SignalPacer;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  [sent, lines, takes, cpuShare, cpu] = [[], [], 0, 1, 0];
  pacer = new SignalPacer(
    (fd) => {
      sent.push(fd);
      vi.advanceTimersByTime(takes);
      cpu += takes * cpuShare;
    },
    () => cpu,
  );
  pacer.onSlow = (line) => lines.push(line);
});

afterEach(() => {
  pacer.close();
  vi.useRealTimers();
});

/** Signals `count` times, without a pause in between. */
function signal(fd: number, times: number): void {
  for (let n = 0; n < times; n++) pacer.signal(fd);
}

describe('the pace of signals', () => {
  it('does not change where signals are fast', () => {
    signal(7, 1000);
    expect(sent).toHaveLength(1000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not change where other processes had the CPU meanwhile', () => {
    [takes, cpuShare] = [5, 0.001];
    signal(7, 100);
    expect(sent).toHaveLength(100);
    expect(lines).toEqual([]);
  });

  it('is one in 20 times the duration of a signal, from the second slow signal on', () => {
    takes = 80;
    signal(7, 1000);
    expect(sent).toHaveLength(2);
    vi.advanceTimersByTime(1599);
    expect(sent).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(sent).toHaveLength(3);
    // No other timer was asked for.
    vi.advanceTimersByTime(60_000);
    expect(sent).toHaveLength(3);
  });

  it('leaves at least 20/21 of the time to others, however many eventfds there are', () => {
    takes = 10;
    const start = performance.now();
    while (performance.now() - start < 60_000) {
      for (let fd = 0; fd < 256; fd++) pacer.signal(fd);
      vi.advanceTimersByTime(1);
    }
    expect(sent.length * takes).toBeLessThan(60_000 / 20);
    expect(sent.length * takes).toBeGreaterThan(60_000 / 25);
  });

  it('lets all eventfds have their turn', () => {
    takes = 10;
    signal(1, 2);
    for (const fd of [2, 3, 2, 4]) pacer.signal(fd);
    vi.advanceTimersByTime(1000);
    expect(sent).toEqual([1, 1, 2, 3, 4]);
  });

  it('becomes the usual one once signals are fast again', () => {
    takes = 10;
    signal(1, 3);
    takes = 0;
    vi.advanceTimersByTime(200);
    expect(sent).toEqual([1, 1, 1]);
    signal(1, 100);
    expect(sent).toHaveLength(103);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('an eventfd that is closed in a pause', () => {
  it('is not signalled afterwards: its number may be that of another file', () => {
    takes = 10;
    signal(1, 2);
    for (const fd of [2, 3]) pacer.signal(fd);
    pacer.forget(2);
    vi.advanceTimersByTime(1000);
    expect(sent).toEqual([1, 1, 3]);
  });

  it('leaves no timer behind when it was the last one', () => {
    takes = 10;
    signal(1, 3);
    pacer.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the report of slow signals', () => {
  it('is one line, after the third slow signal in a row', () => {
    takes = 81;
    for (let n = 0; n < 50; n++) {
      signal(1, 5);
      vi.advanceTimersByTime(100);
      if (sent.length < 4) expect(lines).toEqual([]);
    }
    expect(lines).toEqual([
      'a signal to the peer takes 81.0 ms, because very many threads or epoll sets wait for its eventfd: it is signalled about every 1620 ms at most',
    ]);
  });
});
