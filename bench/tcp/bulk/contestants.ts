/** The contestants of the rows `bulk/…`: our server, and two on the kernel's network. */
import { fileURLToPath } from 'node:url';
import { Child } from '../../../scripts/child.js';
import { isInstalled } from '../../../scripts/programs.js';
import { BenchProcess } from '../../common/bench-process.js';
import type { BusyTime } from '../../common/load/busy-time.js';
import { openKernelSide, openOurSide, type Side, type SideOptions } from '../../common/sides.js';
import type { BulkRow, Protocol } from './setup.js';

export const OURS = 'tspmd';

/** A contestant, before it is opened. */
export interface BulkContestant {
  readonly name: string;
  open(row: BulkRow): Promise<BulkSide>;
  /** What it lacks on this machine, as the end of "needs …"; null: nothing. */
  lacks(): string | null;
}

/** It, when it is open. */
export interface BulkSide extends Side {
  /** How long the server's loop has found something to do, in ms. Only our server tells. */
  busyMs?(): Promise<number>;
}

const pathOf = (script: string): string => fileURLToPath(new URL(script, import.meta.url));

function optionsFor({ offloads }: BulkRow, protocol: Protocol): SideOptions<{ protocol: Protocol }> {
  return { load: 'tcp/bulk/load.js', setup: { protocol }, offloads };
}

const { execPath } = process;

export const BULK_CONTESTANTS: readonly BulkContestant[] = [
  {
    name: OURS,
    lacks: () => null,
    async open(row) {
      const side = await openOurSide(OURS, optionsFor(row, 'ports'), (place) =>
        Child.spawn(execPath, [pathOf('server.js'), JSON.stringify(place)]),
      );
      const server = BenchProcess.of(side.server);
      return { ...side, busyMs: async () => (await server.ask<BusyTime>('busy')).busyMs };
    },
  },
  {
    name: 'node-net',
    lacks: () => null,
    open: (row) =>
      openKernelSide('node-net', optionsFor(row, 'ports'), (run) => run(execPath, pathOf('node-server.js'))),
  },
  {
    name: 'iperf3',
    lacks: () => (isInstalled('iperf3') ? null : "iperf3 (run 'npm run setup:peers' as root)"),
    open: (row) =>
      openKernelSide('iperf3', { ...optionsFor(row, 'iperf3'), ready: /^Server listening/m }, (run) =>
        run('iperf3', '--server', '--forceflush'),
      ),
  },
];
