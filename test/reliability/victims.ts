/** The processes that can be killed, each with the testbed in which it is killed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../../scripts/child.js';
import { isInstalled } from '../../scripts/programs.js';
import { findGuest } from '../../scripts/vm/cache.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { MODES, type Mode } from '../support/threads/modes.js';
import { type CampaignOptions, type CampaignResult, KillCampaign, type Victim } from './kill-campaign.js';
import { macOf } from './numbered.js';
import { NUMBERED_APP, ROOT, Testbed } from './testbed.js';

/** The thread layouts of an endpoint, one after the other. */
const LAYOUTS = Object.values(MODES);

/** Arguments for the endpoint that is started as number `i`, from 0 on: those of `mode`, or of each layout in turn. */
function layoutOf(i: number, mode: Mode | undefined): readonly string[] {
  return mode === undefined ? LAYOUTS[i % LAYOUTS.length]! : MODES[mode];
}

async function startAll(testbed: Testbed, { mode }: CampaignOptions): Promise<void> {
  for (const [i, endpoint] of testbed.numbers.entries())
    await testbed.startEndpoint(endpoint, { args: layoutOf(i, mode) });
}

/** Kills the embedded switch; three endpoints are behind it, one of each thread layout unless `mode` says otherwise. */
async function killSwitch(options: CampaignOptions): Promise<CampaignResult> {
  return hub(await Testbed.open({ hub: 'switch', endpoints: 3 }), 'switch', options);
}

/** Kills dpdk-testpmd, which carries the frames between two of our endpoints. */
async function killBackend(options: CampaignOptions): Promise<CampaignResult> {
  return hub(await Testbed.open({ hub: 'testpmd', endpoints: 2 }), 'backend', options);
}

async function hub(testbed: Testbed, name: string, options: CampaignOptions): Promise<CampaignResult> {
  try {
    await startAll(testbed, options);
    const victim: Victim = {
      name,
      processes: ['hub'],
      isHub: true,
      kill: () => testbed.end('hub', 'SIGKILL'),
      restart: () => testbed.startHub(),
      isSpared: () => false,
    };
    return await new KillCampaign(testbed, victim, options).run();
  } finally {
    await testbed.close();
  }
}

/** Kills one of three endpoints and starts it in the next thread layout; the other two go on with each other. */
async function killEndpoint(options: CampaignOptions): Promise<CampaignResult> {
  const testbed = await Testbed.open({ hub: 'switch', endpoints: 3 });
  try {
    await startAll(testbed, options);
    let lives = 0;
    const victim: Victim = {
      name: 'endpoint',
      processes: ['endpoint 3'],
      isHub: false,
      kill: () => testbed.end('endpoint 3', 'SIGKILL'),
      restart: () => testbed.startEndpoint(3, { args: layoutOf(lives++, options.mode) }),
      isSpared: (from, to) => from !== 3 && to !== 3,
    };
    return await new KillCampaign(testbed, victim, options).run();
  } finally {
    await testbed.close();
  }
}

const BIND = join(ROOT, 'scripts/bind-vfio.sh');
/** Boots are slow on a busy host. */
const BOOT_MS = 120_000;
/** Longer than any run: a guest of this file ends by being killed. */
const GUEST_SECONDS = 86_400;

/** A guest behind port 3, in which our driver, started with `args`, answers what endpoints 1 and 2 ask. */
async function bootGuest(testbed: Testbed, args: readonly string[]): Promise<Child> {
  const nic = nicAddress(0);
  const device = ['--device', nic, '--ip', '10.0.0.3/24', '--app', NUMBERED_APP];
  const run = Child.commandLine('run', ...device, ...args).join(' ');
  const lab = Guest.start({
    mode: 'no-iommu',
    netdevs: [`vhost-user:${testbed.socketOf(3)},mac=${macOf(3)}`],
    timeout: GUEST_SECONDS,
    command: ['bash', '-c', `set -e; ${BIND} ${nic} --no-iommu; exec ${run} --app-option self=3`],
  });
  await lab.waitFor(/^ready/m, BOOT_MS);
  return lab;
}

/** The process that is the guest: QEMU, the one child of the lab's. */
function qemuOf(lab: Child): number {
  return Number(readFileSync(`/proc/${lab.pid}/task/${lab.pid}/children`, 'utf8').trim());
}

/** Kills QEMU with a guest in it; two endpoints of ours on the same switch go on with each other. */
async function killGuest(options: CampaignOptions): Promise<CampaignResult> {
  const testbed = await Testbed.open({ hub: 'switch', endpoints: 3 });
  const args = MODES[options.mode ?? 'single'];
  let lab: Child | null = null;
  try {
    // An emulated guest is slow.
    for (const endpoint of [1, 2]) await testbed.startEndpoint(endpoint, { args, flows: 2, window: 4 });
    lab = await bootGuest(testbed, args);
    const victim: Victim = {
      name: 'guest',
      processes: [],
      isHub: false,
      kill: async () => {
        if (lab === null) return;
        process.kill(qemuOf(lab), 'SIGKILL');
        await lab.exited;
      },
      restart: async () => {
        lab = await bootGuest(testbed, args);
      },
      isSpared: (from, to) => from !== 3 && to !== 3,
    };
    return await new KillCampaign(testbed, victim, options).run();
  } finally {
    await lab?.stop().catch(() => undefined);
    await testbed.close();
  }
}

export interface Killing {
  /** What this machine lacks for it, and what to do; null: nothing. */
  missing(): string | null;
  run(options: CampaignOptions): Promise<CampaignResult>;
}

const PEERS = "run 'npm run setup:peers' as root";
const nothing = (): null => null;

export const VICTIMS = {
  switch: { missing: nothing, run: killSwitch },
  endpoint: { missing: nothing, run: killEndpoint },
  backend: { missing: () => (isInstalled('dpdk-testpmd') ? null : `needs dpdk-testpmd; ${PEERS}`), run: killBackend },
  guest: { missing: () => (findGuest() === undefined ? `needs a guest VM; ${PEERS}` : null), run: killGuest },
} as const satisfies Readonly<Record<string, Killing>>;
