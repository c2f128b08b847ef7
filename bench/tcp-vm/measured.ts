/** What was measured of one row. */
import type { NoiseGuard } from '../common/noise.js';
import { NGINX_SETTINGS } from '../http/nginx.js';
import { type Figure, figure, type Row, row } from '../report/report.js';
import type { Done, VmRow } from './rows.js';
import { SYSCTLS } from './servers.js';
import { guestTimeText, limitOf, medianOf, type Shares } from './shares.js';

const OURS = 'tspmd';

/** Lines in which the guest tells what its kernel leaves to the NIC: `offload tx-checksumming`. */
const OFFLOAD = /^offload (\S+)\r?$/gm;

export class Measured {
  /** Why the row is lost. */
  fault: Error | null = null;
  private readonly windows = new Map<string, { rate: number; shares: Shares }[]>();

  constructor(
    readonly spec: VmRow,
    readonly guard: NoiseGuard,
  ) {}

  /** Adds a window of a contestant. @throws Error when nothing was done in it */
  add(contestant: string, { done, seconds }: Done, shares: Shares): void {
    if (done === 0) throw new Error(`nothing came from ${contestant}`);
    const own = this.windows.get(contestant) ?? [];
    this.windows.set(contestant, [...own, { rate: Math.round(done / seconds), shares }]);
  }

  /** @param output of the guest */
  async row(output: string): Promise<Row> {
    const { name, unit, group } = this.spec;
    const figures: Record<string, Figure> = {};
    const busySecond: Record<string, number> = {};
    const limit: Record<string, string> = {};
    const guestCpu: Record<string, string> = {};
    for (const [contestant, windows] of this.windows) {
      const shares = windows.map((window) => window.shares);
      figures[contestant] = figure(
        windows.map(({ rate }) => rate),
        unit,
      );
      busySecond[contestant] = Math.round(medianOf(windows.map(({ rate, shares }) => rate / shares.server)));
      limit[contestant] = limitOf(shares);
      guestCpu[contestant] = guestTimeText(shares);
    }
    const { [OURS]: ours, ...peers } = figures;
    return row(name, ours, peers, {
      noise: await this.guard.end(Object.values(figures)),
      more: {
        limit,
        "per second in which the guest's CPU had work": busySecond,
        "the guest's CPU": guestCpu,
        'kernel settings': Object.fromEntries(SYSCTLS),
        "offloads of the guest's kernel": [...new Set([...output.matchAll(OFFLOAD)].map(([, offload]) => offload))],
        ...(group === 'http' ? { 'nginx settings': NGINX_SETTINGS } : {}),
      },
    });
  }
}
