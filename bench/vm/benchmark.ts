/**
 * `bench -- vm`: frames of 64 bytes a second, `tspmd run` next to DPDK's testpmd with its own virtio driver, in the same
 * guest, on the same NIC, with the same backend behind it. They take turns, a window each, until each has had all of its
 * windows; so a change in the machine's mood meets both.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../../scripts/child.js';
import { isInstalled, isReadWrite } from '../../scripts/programs.js';
import { onPci, STARTED } from '../../scripts/testpmd.js';
import { findGuest } from '../../scripts/vm/cache.js';
import { aborted, type Benchmark, type Plan } from '../common/benchmark.js';
import { figure, type Row, row } from '../report/report.js';
import { Arena, type Contestant, type GuestMode, NIC } from './arena.js';
import { type Meter, TapMeter, VhostMeter } from './meter.js';

interface Scene {
  readonly direction: 'tx' | 'rx';
  readonly mode: GuestMode;
  readonly backend: 'tap' | 'vhost-user';
}

const FRAME_BYTES = 64;

/** No rx over tap: the kernel sends less than either driver can receive. No vhost-user with an IOMMU: see README. */
const SCENES: readonly Scene[] = [
  { direction: 'tx', mode: 'iommu', backend: 'tap' },
  { direction: 'tx', mode: 'no-iommu', backend: 'tap' },
  { direction: 'tx', mode: 'no-iommu', backend: 'vhost-user' },
  { direction: 'rx', mode: 'no-iommu', backend: 'vhost-user' },
];

const nameOf = ({ direction, mode, backend }: Scene): string => `${direction}/${FRAME_BYTES}/${mode}/${backend}`;
const SETUP = "run 'npm run setup:peers' as root";

/** Where testpmd's frames go; also ours, as the kernel's work on a broadcast is another. */
const SINK_MAC = '02:00:00:00:00:00';

function contestants(direction: Scene['direction']): { ours: Contestant; dpdk: Contestant } {
  const app = `${direction}only`;
  const options = direction === 'tx' ? ` --app-option to=${SINK_MAC} size=${FRAME_BYTES}` : '';
  const tspmd = Child.commandLine('run', '--device', NIC, '--ip', '10.0.0.1/24', '--app', app).join(' ');
  return {
    ours: { name: 'tspmd', command: `${tspmd}${options} --stats-period 1 --idle spin`, ready: /^ready: / },
    dpdk: { name: 'dpdk-testpmd', command: onPci(NIC, app as 'txonly' | 'rxonly'), ready: STARTED },
  };
}

/** Seconds. The warm-up is for the compilers: V8's, and QEMU's. */
const timing = (isQuick: boolean): { windows: number; window: number; warmUp: number } =>
  isQuick ? { windows: 2, window: 1, warmUp: 1 } : { windows: 5, window: 2, warmUp: 4 };

async function open({ direction, backend }: Scene): Promise<Meter> {
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

async function compare(scene: Scene, { isQuick, progress, stop }: Plan): Promise<Row> {
  const name = nameOf(scene);
  const { windows, window, warmUp } = timing(isQuick);
  const meter = await open(scene);
  // Boot, and for each turn the slowest start and stop seen on a busy machine.
  const arena = new Arena(scene.mode, meter.netdev, 60 + windows * 2 * (warmUp + window + 30));
  const play = async (): Promise<Row> => {
    await arena.booted();
    const { ours, dpdk } = contestants(scene.direction);
    const rates = new Map<Contestant, number[]>([ours, dpdk].map((contestant) => [contestant, []]));
    for (let turn = 1; turn <= windows; turn++) {
      for (const [contestant, measured] of rates) {
        const rate = await arena.during(contestant, async () => {
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
  try {
    return await Promise.race([play(), aborted(stop)]);
  } finally {
    await arena.close();
    await meter.close();
  }
}

const select = (rows: readonly string[]): Scene[] => SCENES.filter((scene) => rows.includes(nameOf(scene)));

export const vm: Benchmark = {
  summary: 'in a guest VM: frames a second on a virtio-net PCI device, against dpdk-testpmd',
  rows: SCENES.map(nameOf),

  missing(rows) {
    const missing = ['dpdk-testpmd', 'qemu-system-x86_64']
      .filter((program) => !isInstalled(program))
      .map((program) => `${program} (${SETUP})`);
    if (findGuest() === undefined) missing.push(`a guest VM (${SETUP})`);
    if (select(rows).some(({ backend }) => backend === 'tap')) {
      if (process.getuid?.() !== 0) missing.push('root (it makes a network namespace)');
      if (!isReadWrite('/dev/net/tun')) missing.push("/dev/net/tun ('modprobe tun' makes it)");
    }
    return missing;
  },

  async measure(rows, plan) {
    const measured: Row[] = [];
    for (const scene of select(rows)) measured.push(await compare(scene, plan));
    return measured;
  },
};
