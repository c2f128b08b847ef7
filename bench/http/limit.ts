/** What limits a contestant, over all of its windows. */
import { limitOf } from '../common/limit.js';
import { figure } from '../report/report.js';
import type { Window } from './contestants.js';

/** As {@link limitOf}, by the medians of the windows. */
export function limitIn(windows: readonly Window[]): string {
  const median = (field: 'serverBusy' | 'loadBusy'): number =>
    figure(
      windows.map((window) => window[field]),
      '',
    ).median;
  return limitOf(median('serverBusy'), median('loadBusy'));
}
