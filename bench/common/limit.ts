/** What limits a contestant of a benchmark: the part that has work all the time. */

import { figureOf } from './kernel-side.js';

/** A part that has work for so much of the time is what the others wait for. */
const ALL_THE_TIME = 0.9;

/**
 * Names what limits a contestant, with the shares of the time in which the parts had work.
 * @param server share of the server
 * @param load share of the load
 */
export function limitOf(server: number, load: number): string {
  const limits = [...(server >= ALL_THE_TIME ? ['server'] : []), ...(load >= ALL_THE_TIME ? ['load'] : [])];
  const percent = (share: number): number => Math.round(share * 100);
  return `${limits.join(' and ') || 'requests under way'} (server busy ${percent(server)} %, load ${percent(load)} %)`;
}

/** As {@link limitOf}, by the medians of some windows. */
export function limitIn(windows: readonly { readonly serverBusy: number; readonly loadBusy: number }[]): string {
  return limitOf(figureOf(windows, 'serverBusy', '').median, figureOf(windows, 'loadBusy', '').median);
}
