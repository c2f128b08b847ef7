/** When the main thread counts as hanging, and what the kernel says about a thread. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseThreadStat, type ThreadState } from '../../../../../drivers/libc/index.js';
import { HangDetector } from '../../../../../src/cli/hang/hang-detector.js';

const waiting = (cpuMs = 0): ThreadState => ({ isWaiting: true, cpuMs });
const running = (cpuMs: number): ThreadState => ({ isWaiting: false, cpuMs });

describe('the hang detector', () => {
  let state = waiting();
  let asked = 0;
  const detect = (): HangDetector => {
    asked = 0;
    return new HangDetector(() => {
      asked++;
      return state;
    });
  };

  it('does not ask the kernel while beats come', () => {
    const detector = detect();
    for (let beat = 0; beat < 100; beat++) expect(detector.look(beat)).toBeNull();
    expect(asked).toBe(0);
  });

  it('reports a thread that waits in the kernel at the second look without a beat', () => {
    const detector = detect();
    state = waiting();
    expect(detector.look(1)).toBeNull();
    expect(detector.look(1)).toBeNull();
    expect(detector.look(1)).toBe('system-call');
    expect(detector.look(1)).toBe('system-call');
    expect(detector.look(2)).toBeNull();
  });

  it('is not misled by a beat that comes late', () => {
    const detector = detect();
    state = waiting();
    for (let beat = 0; beat < 20; beat++) {
      expect(detector.look(beat)).toBeNull();
      expect(detector.look(beat)).toBeNull();
    }
  });

  it('does not report a thread that gets no CPU', () => {
    const detector = detect();
    state = running(500);
    for (let n = 0; n < 100; n++) expect(detector.look(1)).toBeNull();
  });

  it('reports a thread that has used the CPU for a second', () => {
    const detector = detect();
    detector.look(1);
    for (let ms = 5000; ms < 6000; ms += 250) {
      state = running(ms);
      expect(detector.look(1)).toBeNull();
    }
    state = running(6000);
    expect(detector.look(1)).toBe('busy');
    expect(detector.look(2)).toBeNull();
    expect(detector.look(2)).toBeNull();
  });
});

describe('what the kernel says of a thread', () => {
  it('is read behind a name with brackets and spaces', () => {
    const numbers = Array.from({ length: 40 }, (_, i) => i + 4);
    expect(parseThreadStat(`12 (a) R (b)) S ${numbers.join(' ')}`)).toEqual({ isWaiting: true, cpuMs: 290 });
    expect(parseThreadStat(`12 (x) R ${numbers.join(' ')}`).isWaiting).toBe(false);
    expect(parseThreadStat(`12 (x) D ${numbers.join(' ')}`).isWaiting).toBe(true);
  });

  it('has the CPU time of this thread', () => {
    const { cpuMs } = parseThreadStat(readFileSync('/proc/thread-self/stat', 'latin1'));
    const { user, system } = process.cpuUsage();
    expect(cpuMs).toBeGreaterThan(0);
    expect(cpuMs).toBeLessThanOrEqual((user + system) / 1000 + 20);
  });
});
