/** Peers that misuse the eventfds that they share with a process: it goes on, forgets them, and one SIGTERM ends it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1 } from '../../drivers/virtio/features.js';
import { Child } from '../../scripts/child.js';
import { fillCounter, isBlocking, isOverflown, makeBlocking } from '../support/libc/hostile-eventfd.js';
import { openFds, temporaryDirectory, untilFds } from '../support/resources.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';
import { until } from '../support/until.js';
import { ScriptedBackend } from '../support/vhost-user/scripted-backend.js';

let directory: ReturnType<typeof temporaryDirectory>;
let children: Child[] = [];
let backend: ScriptedBackend | null = null;
let before = 0;

beforeEach(() => {
  before = openFds();
  directory = temporaryDirectory();
  children = [];
});

afterEach(async () => {
  for (const child of children) child.signal('SIGKILL');
  await Promise.all(children.map((child) => child.exited));
  backend?.close();
  backend = null;
  directory.remove();
  await untilFds(before);
});

function start(...args: string[]): Child {
  const child = Child.tspmd(...args);
  children.push(child);
  return child;
}

const socket = (): string => join(directory.path, 'vhost1.sock');
const startSwitch = (): Child =>
  start('switch', 'bess/forward_n.bess', 'NPORTS=2', `DIR=${directory.path}`, '--idle', 'adaptive');

/** Fills and blocks both kick eventfds at the moment when they come, before the driver is told to go on. */
class HostileBackend extends ScriptedBackend {
  readonly kicks: number[] = [];

  constructor(path: string) {
    super(path);
    this.features = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES;
    this.onReceived = ({ name, fds }) => {
      if (name !== 'SET_VRING_KICK') return;
      const [fd] = fds as [number];
      fillCounter(fd);
      makeBlocking(fd);
      this.kicks.push(fd);
    };
  }
}

describe.each([
  ...ALL_MODES.map((mode) => [`run, ${mode}`, ['run', '--app', 'txonly', ...MODES[mode]]] as const),
  ['ping', ['ping', '--to', '10.0.0.2', '--interval', '0.05', '--timeout', '0.05']] as const,
])('an endpoint whose backend blocks and fills its kick eventfds (%s)', (_, [command, ...args]) => {
  const device = (): string[] => [
    ...['--device', `vhost-user:${socket()}`, '--ip', '10.0.0.1/24', '--mac', '52:54:00:00:00:01'],
    ...['--neighbour', '10.0.0.2=52:54:00:00:00:02', '--hugepages', 'never'],
  ];

  async function underAttack(): Promise<{ child: Child; hostile: HostileBackend }> {
    const hostile = new HostileBackend(socket());
    backend = hostile;
    const child = start(command, ...device(), ...args);
    await child.waitFor(/^(ready|PING)/m);
    expect(hostile.kicks).toHaveLength(2);
    for (const fd of hostile.kicks) expect(isBlocking(fd)).toBe(true);
    // A kick after the counter was full.
    await until('a kick', () => hostile.kicks.some(isOverflown));
    for (const fd of hostile.kicks) {
      fillCounter(fd);
      makeBlocking(fd);
    }
    return { child, hostile };
  }

  it('ends in order', async () => {
    const { child } = await underAttack();
    const { code, signal } = await child.stop();
    expect(signal).toBeNull();
    // A ping that was not answered is an error.
    expect(code).toBe(command === 'ping' ? 1 : 0);
    expect(child.output).not.toContain('main thread');
  });

  it('goes on with a good backend afterwards', async () => {
    const { child, hostile } = await underAttack();
    hostile.close();
    backend = null;
    await child.waitFor(/link down/);
    await startSwitch().waitFor(/^ready/m);
    await child.waitFor(/link up/);
    await child.stop();
  });
});

it('the switch serves the next peer of a port after such a peer, and ends in order', async () => {
  const bess = startSwitch();
  await bess.waitFor(/^ready/m);
  const hostile = Child.spawn(process.execPath, [
    'dist/test/reliability/hostile-neighbour.main.js',
    socket(),
    'blocks and fills its call eventfds',
  ]);
  children.push(hostile);
  await hostile.waitFor(/^ready/m);
  const other = start(
    ...['run', '--device', `vhost-user:${join(directory.path, 'vhost2.sock')}`, '--ip', '10.0.0.2/24'],
    ...['--mac', '52:54:00:00:00:02', '--hugepages', 'never'],
  );
  await other.waitFor(/^ready/m);
  hostile.signal('SIGKILL');
  await hostile.exited;
  const ping = start(
    ...['ping', '--device', `vhost-user:${socket()}`, '--ip', '10.0.0.1/24', '--mac', '52:54:00:00:00:01'],
    ...['--to', '10.0.0.2', '--count', '3', '--interval', '0.05', '--hugepages', 'never'],
  );
  expect(await ping.exited).toEqual({ code: 0, signal: null });
  expect(await other.stop()).toEqual({ code: 0, signal: null });
  expect(await bess.stop()).toEqual({ code: 0, signal: null });
  expect(existsSync(socket())).toBe(false);
});
