/** What `--stats-period` prints of a thread's time. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RatePrinter } from '../../src/cli/rates.js';
import type { CoreStatus, Port } from '../../src/port.js';

describe('the idle share of a period', () => {
  let printer: RatePrinter;
  const lines: string[] = [];
  const counters = { loop_busy_ms: 0, loop_idle_ms: 0 };
  let isAsleep = false;

  beforeEach(() => {
    vi.useFakeTimers();
    Object.assign(counters, { loop_busy_ms: 0, loop_idle_ms: 0 });
    isAsleep = false;
    const status = (): CoreStatus[] => [
      { title: 'core 0', index: 0, isAlive: true, isAsleep, counters: { ...counters }, rings: null },
    ];
    const port = { counters: () => ({}), cores: status, workers: () => [] };
    printer = new RatePrinter(port as unknown as Port, 1, (line) => lines.push(line));
  });

  afterEach(() => {
    printer.stop();
    vi.useRealTimers();
  });

  /** The share after a second in which so much was counted. */
  function shareAfter(busy: number, idle: number): string | undefined {
    counters.loop_busy_ms += busy;
    counters.loop_idle_ms += idle;
    vi.advanceTimersByTime(1000);
    return /idle (.*)$/.exec(lines.at(-1)!)?.[1];
  }

  it('is what was counted, where the thread polls', () => {
    expect(shareAfter(250, 750)).toBe('75 %');
    expect(shareAfter(1000, 0)).toBe('0 %');
  });

  it('has the sleep that goes on, and no more of one that has ended than the period', () => {
    expect(shareAfter(10, 0)).toBe('0 %');
    isAsleep = true;
    expect(shareAfter(10, 0)).toBe('99 %');
    expect(shareAfter(0, 0)).toBe('100 %');
    isAsleep = false;
    expect(shareAfter(600, 2500)).toBe('40 %');
  });

  it('is not known of a thread that is stuck, or counts no time', () => {
    isAsleep = true;
    expect(shareAfter(0, 0)).toBeUndefined();
    isAsleep = false;
    expect(shareAfter(500, 500)).toBe('50 %');
    expect(shareAfter(0, 0)).toBeUndefined();
  });
});
