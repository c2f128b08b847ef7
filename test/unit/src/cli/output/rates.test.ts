/** What `--stats-period` prints about the time of a thread. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RatePrinter } from '../../../../../src/cli/output/rates.js';
import { createL2Counters, type PortCounters } from '../../../../../src/counters.js';
import type { CoreStatus, Port, WorkerStatus } from '../../../../../src/port.js';

/** All counters; most of them are 0. */
const counted = (some: Partial<PortCounters>): PortCounters => ({ ...createL2Counters().snapshot(), ...some });

describe('the lines of a period', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are one per port and one per thread: rates, drops by reason, rings, idle share', () => {
    vi.useFakeTimers();
    const lines: string[] = [];
    let seconds = 0;
    const core = (index: number, isAlive: boolean): CoreStatus => ({
      ...{ title: `core ${index}`, index, isAlive, isAsleep: false },
      counters: counted({
        rx_delivered: 1500 * seconds,
        tx_queued: 20 * seconds,
        rx_drop_queue_full: 3 * seconds,
        tx_no_buffer: seconds,
        held_by_stack: 12,
        loop_busy_ms: 250 * seconds,
        loop_idle_ms: 750 * seconds,
      }),
      rings: { rx_queue: { count: 7, capacity: 512 }, tx_queue: { count: 0, capacity: 1024 } },
    });
    const worker = (role: WorkerStatus['role']): WorkerStatus => ({
      ...{ title: `${role} worker`, role, isAlive: true, isAsleep: false },
      counters: counted({ rx_frames: 2_000_000 * seconds, tx_handed: 40 * seconds, tx_lost_link_down: 2 * seconds }),
    });
    const port = {
      counters: () =>
        counted({
          rx_packets: 1600 * seconds,
          rx_bytes: 125_000 * seconds,
          rx_drop_queue_full: 6 * seconds,
          held_by_stack: 12,
        }),
      status: () => ({ cores: [core(0, true), core(1, seconds < 1)], workers: [worker('Tx'), worker('Rx')] }),
    };
    const printer = new RatePrinter(port as unknown as Port, 1, (line) => lines.push(line));
    seconds = 1;
    vi.advanceTimersByTime(1000);
    printer.stop();
    expect(lines).toEqual([
      'rx 1.60 kpps, 1.00 Mbit/s; tx 0 pps, 0 bit/s; dropped 6 (rx_drop_queue_full 6); stack holds 12',
      '  core 0: rx 1.50 kpps, tx 20 pps; dropped 3 (rx_drop_queue_full 3); stack holds 12, rx_queue 7/512, tx_queue 0/1024; idle 75 %',
      '  core 1: ended',
      '  Tx worker: tx 40 pps; dropped 2 (tx_lost_link_down 2)',
      '  Rx worker: rx 2.00 Mpps; dropped 2 (tx_lost_link_down 2)',
    ]);
  });
});

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
      { title: 'core 0', index: 0, isAlive: true, isAsleep, counters: counted(counters), rings: null },
    ];
    const port = { counters: () => counted({}), status: () => ({ cores: status(), workers: [] }) };
    printer = new RatePrinter(port as unknown as Port, 1, (line) => lines.push(line));
  });

  afterEach(() => {
    printer.stop();
    vi.useRealTimers();
  });

  /** The share after a second in which this was counted. */
  function shareAfter(busy: number, idle: number): string | undefined {
    counters.loop_busy_ms += busy;
    counters.loop_idle_ms += idle;
    vi.advanceTimersByTime(1000);
    return /idle (.*)$/.exec(lines.at(-1)!)?.[1];
  }

  it('is what was counted, if the thread polls', () => {
    expect(shareAfter(250, 750)).toBe('75 %');
    expect(shareAfter(1000, 0)).toBe('0 %');
  });

  it('includes the sleep that goes on, and of a past one no more than the period', () => {
    expect(shareAfter(10, 0)).toBe('0 %');
    isAsleep = true;
    expect(shareAfter(10, 0)).toBe('99 %');
    expect(shareAfter(0, 0)).toBe('100 %');
    isAsleep = false;
    expect(shareAfter(600, 2500)).toBe('40 %');
  });

  it('is not known for a thread that is stuck or counts no time', () => {
    isAsleep = true;
    expect(shareAfter(0, 0)).toBeUndefined();
    isAsleep = false;
    expect(shareAfter(500, 500)).toBe('50 %');
    expect(shareAfter(0, 0)).toBeUndefined();
  });
});
