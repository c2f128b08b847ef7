/** What limits a contestant: the part that has work all the time. */
import { figure } from '../report/report.js';
import type { Window } from './contestants.js';

/** A part that has work for so much of the time is what the others wait for. */
const ALL_THE_TIME = 0.9;

/** Names what limits a contestant, with the shares of the time in which the parts had work. */
export function limitOf(windows: readonly Window[]): string {
  const median = (field: 'serverBusy' | 'loadBusy'): number =>
    figure(
      windows.map((window) => window[field]),
      '',
    ).median;
  const [server, load] = [median('serverBusy'), median('loadBusy')];
  const limits = [...(server >= ALL_THE_TIME ? ['server'] : []), ...(load >= ALL_THE_TIME ? ['load'] : [])];
  const shares = `server busy ${Math.round(server * 100)} %, load ${Math.round(load * 100)} %`;
  return `${limits.join(' and ') || 'requests under way'} (${shares})`;
}
