/** How much of the time the parts of a row had work, and which of them limits it. */
import { figure } from '../report/report.js';

/** A part that has work for so much of the time is what the others wait for. */
const ALL_THE_TIME = 0.9;

/** The first fields of the line `cpu` of /proc/stat: ticks since the boot (proc(5)). */
const STAT_FIELDS = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq'] as const;
export type GuestTime = Readonly<Record<(typeof STAT_FIELDS)[number], number>>;

/**
 * Returns how the guest's CPU has spent the time between two lines `cpu` of /proc/stat, as shares of it.
 * @throws Error when a line is not as proc(5) has it, or no tick has passed
 */
export function guestTime(before: string, after: string): GuestTime {
  const [first, last] = [before, after].map((line) => {
    const [name, ...ticks] = line.trim().split(/\s+/);
    if (name !== 'cpu' || ticks.length < STAT_FIELDS.length)
      throw new Error(`/proc/stat of the guest begins with '${line}'`);
    return ticks.map(Number);
  });
  const ticks = STAT_FIELDS.map((_, i) => last[i] - first[i]);
  const all = ticks.reduce((sum, part) => sum + part, 0);
  if (!(all > 0)) throw new Error("the guest's clock stands still");
  return Object.fromEntries(STAT_FIELDS.map((name, i) => [name, ticks[i] / all])) as GuestTime;
}

/** The shares of one window. */
export interface Shares {
  /** The part of the time in which the guest's CPU, or the loop of a server that spins, had work. */
  readonly server: number;
  /** The same of the load without the switch, and of the switch. Both share a CPU. */
  readonly load: number;
  readonly switch: number;
  readonly guest: GuestTime;
}

/** Names what limits a contestant, with the medians of the shares. */
export function limitOf(windows: readonly Shares[]): string {
  const [server, load, bess] = (['server', 'load', 'switch'] as const).map((part) =>
    medianOf(windows.map((w) => w[part])),
  );
  const host = load > bess ? 'load' : 'switch';
  const limit = server >= ALL_THE_TIME ? 'server' : load + bess >= ALL_THE_TIME ? host : 'requests under way';
  return `${limit} (server busy ${percent(server)}, load ${percent(load)}, switch ${percent(bess)})`;
}

/** Tells how the guest's CPU has spent its time, such as `user 30 %, system 50 %, softirq 20 %`. */
export function guestTimeText(windows: readonly Shares[]): string {
  const shares = STAT_FIELDS.map((name) => [name, medianOf(windows.map(({ guest }) => guest[name]))] as const);
  return shares
    .filter(([, share]) => share >= 0.005)
    .map(([name, share]) => `${name} ${percent(share)}`)
    .join(', ');
}

export const medianOf = (values: readonly number[]): number => figure(values, '').median;

const percent = (share: number): string => `${Math.round(share * 100)} %`;
