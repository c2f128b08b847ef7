/** Layouts on one CPU that take turns. One that fails has no figures, and the others go on. */
import { firstLine, type Plan } from '../common/benchmark.js';
import type { LayoutThread } from './layout-thread.js';

/** A layout that is measured. */
export type Contestant = Pick<LayoutThread, 'key' | 'ready' | 'measure' | 'close'>;

/** Times in milliseconds. */
export const turnTiming = (isQuick: boolean): { windows: number; window: number; warmUp: number } =>
  isQuick ? { windows: 3, window: 20, warmUp: 300 } : { windows: 15, window: 60, warmUp: 500 };

export interface Turns {
  /** By layout: nanoseconds per packet or request in each turn. */
  readonly times: ReadonlyMap<string, readonly number[]>;
  /** By layout: why it has failed. Its times are not complete then. */
  readonly faults: ReadonlyMap<string, string>;
}

/** Opens layouts, measures each of them once per turn, and closes them. */
export async function measureInTurns(
  keys: Iterable<string>,
  plan: Plan,
  open: (key: string) => Contestant,
): Promise<Turns> {
  const { windows, window, warmUp } = turnTiming(plan.isQuick);
  const contestants: Contestant[] = [];
  const times = new Map<string, number[]>();
  const faults = new Map<string, string>();
  /** Does something with a layout, unless that has failed before. */
  const attempt = async (contestant: Contestant, work: () => Promise<void>): Promise<void> => {
    plan.stop.throwIfAborted();
    if (faults.has(contestant.key)) return;
    await work().catch((error: Error) => {
      plan.stop.throwIfAborted();
      faults.set(contestant.key, firstLine(error));
    });
  };
  try {
    for (const key of keys) {
      const contestant = open(key);
      contestants.push(contestant);
      times.set(key, []);
      await attempt(contestant, async () => {
        await contestant.ready();
        await contestant.measure(warmUp);
      });
    }
    for (let turn = 0; turn < windows; turn++) {
      for (const contestant of contestants) {
        await attempt(contestant, async () => {
          const ns = await contestant.measure(window);
          times.get(contestant.key)!.push(Number(ns.toFixed(2)));
        });
      }
    }
    return { times, faults };
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.close()));
  }
}
