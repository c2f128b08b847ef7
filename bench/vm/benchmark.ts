/**
 * `bench -- vm`: frames of 64 bytes per second. It compares `tspmd run` with DPDK's testpmd and its virtio driver, in
 * the same guest, on the same NIC, with the same backend. They take turns of one window each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { whenAborted } from '../../drivers/stop-signal.js';
import { Child } from '../../scripts/child.js';
import { isInstalled, isReadWrite } from '../../scripts/programs.js';
import { onPci, STARTED } from '../../scripts/testpmd.js';
import { findGuest } from '../../scripts/vm/cache.js';
import type { Benchmark, Plan } from '../common/benchmark.js';
import { figure, type Row, row } from '../report/report.js';
import { type Meter, TapMeter, VhostMeter } from './meter.js';
import { type Contestant, type GuestMode, NIC, SharedGuest } from './shared-guest.js';

interface RowSpec {
  readonly direction: 'tx' | 'rx';
  readonly mode: GuestMode;
  readonly backend: 'tap' | 'vhost-user';
}

const FRAME_BYTES = 64;

/** docs/benchmarks.md tells why there is no rx over tap, and no vhost-user with an IOMMU. */
const ROWS: readonly RowSpec[] = [
  { direction: 'tx', mode: 'iommu', backend: 'tap' },
  { direction: 'tx', mode: 'no-iommu', backend: 'tap' },
  { direction: 'tx', mode: 'no-iommu', backend: 'vhost-user' },
  { direction: 'rx', mode: 'no-iommu', backend: 'vhost-user' },
];

const nameOf = ({ direction, mode, backend }: RowSpec): string => `${direction}/${FRAME_BYTES}/${mode}/${backend}`;
const SETUP = "run 'npm run setup:peers' as root";

/** The destination of testpmd's frames. Ours go there, too, because the kernel handles broadcasts in another way. */
const SINK_MAC = '02:00:00:00:00:00';

function contestants(direction: RowSpec['direction']): { ours: Contestant; dpdk: Contestant } {
  const app = `${direction}only`;
  const options = direction === 'tx' ? ` --app-option to=${SINK_MAC} size=${FRAME_BYTES}` : '';
  const tspmd = Child.commandLine('run', '--device', NIC, '--ip', '10.0.0.1/24', '--app', app).join(' ');
  return {
    ours: { name: 'tspmd', command: `${tspmd}${options} --stats-period 1 --idle spin`, ready: /^ready: / },
    dpdk: { name: 'dpdk-testpmd', command: onPci(NIC, app as 'txonly' | 'rxonly'), ready: STARTED },
  };
}

/** Times in seconds. V8 and QEMU compile code during the warm-up. */
const timing = (isQuick: boolean): { windows: number; window: number; warmUp: number } =>
  isQuick ? { windows: 2, window: 1, warmUp: 1 } : { windows: 5, window: 2, warmUp: 4 };

async function open({ direction, backend }: RowSpec): Promise<Meter> {
  if (backend === 'tap') return new TapMeter();
  const meter = new VhostMeter(direction);
  try {
    await meter.started();
  } catch (error) {
    await meter.close();
    throw error;
  }
  return meter;
}

async function compare(spec: RowSpec, { isQuick, progress, stop }: Plan): Promise<Row> {
  const name = nameOf(spec);
  const { windows, window, warmUp } = timing(isQuick);
  const meter = await open(spec);
  // The time limit allows for the boot, and for slow starts and stops in each turn.
  const timeoutSeconds = 60 + windows * 2 * (warmUp + window + 30);
  const guest = new SharedGuest({ mode: spec.mode, netdev: meter.netdev, timeoutSeconds });
  const play = async (): Promise<Row> => {
    await guest.booted();
    const { ours, dpdk } = contestants(spec.direction);
    const rates = new Map<Contestant, number[]>([ours, dpdk].map((contestant) => [contestant, []]));
    for (let turn = 1; turn <= windows; turn++) {
      for (const [contestant, measured] of rates) {
        const rate = await guest.during(contestant, async () => {
          await sleep(warmUp * 1000);
          return meter.measure(window);
        });
        progress(`${name}, window ${turn} of ${windows}: ${contestant.name} ${Math.round(rate)} frames/s`);
        if (rate === 0) throw new Error(`${name}: no frame of ${contestant.name} arrived`);
        measured.push(rate);
      }
    }
    const [a, b] = [...rates.values()].map((measured) => figure(measured.map(Math.round), 'frames/s'));
    return row(name, a, { dpdk: b });
  };
  const ended = whenAborted(stop).then((): never => {
    throw stop.reason;
  });
  try {
    return await Promise.race([play(), ended]);
  } finally {
    await guest.close();
    await meter.close();
  }
}

const select = (rows: readonly string[]): RowSpec[] => ROWS.filter((spec) => rows.includes(nameOf(spec)));

export const vm: Benchmark = {
  summary: 'in a guest VM: frames per second on a virtio-net PCI device, against dpdk-testpmd',
  rows: ROWS.map(nameOf),

  missing(rows) {
    const missing = ['dpdk-testpmd', 'qemu-system-x86_64']
      .filter((program) => !isInstalled(program))
      .map((program) => `${program} (${SETUP})`);
    if (findGuest() === undefined) missing.push(`a guest VM (${SETUP})`);
    if (select(rows).some(({ backend }) => backend === 'tap')) {
      if (process.getuid?.() !== 0) missing.push('root, to make a network namespace');
      if (!isReadWrite('/dev/net/tun')) missing.push("/dev/net/tun ('modprobe tun' makes it)");
    }
    return missing;
  },

  async measure(rows, plan) {
    const measured: Row[] = [];
    for (const spec of select(rows)) measured.push(await compare(spec, plan));
    return measured;
  },
};
