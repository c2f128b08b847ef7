/** The vhost-user frontend that makes the socket (`,server=1`): it waits for a backend, loses it, and waits again. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { closeInPlace, Reactor } from '../../../../../drivers/libc/index.js';
import { WindowAllocator } from '../../../../../drivers/memory/index.js';
import { VhostUserBackend } from '../../../../../drivers/transports/vhost-user/backend.js';
import {
  VhostUserFrontend,
  type VhostUserFrontendOptions,
} from '../../../../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { openFds, temporaryDirectory, untilFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';

let before: number;
let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let reactor: Reactor;
let windows: WindowAllocator;
let backend: VhostUserBackend | undefined;
let device: VirtioNetDevice | undefined;
let told: string[];

beforeEach(() => {
  before = openFds();
  directory = temporaryDirectory();
  path = `${directory.path}/s`;
  reactor = new Reactor();
  windows = new WindowAllocator();
  told = [];
});

afterEach(async () => {
  await device?.close();
  device = undefined;
  backend?.close();
  reactor.close();
  directory.remove();
  await untilFds(before);
});

function open(options: VhostUserFrontendOptions = {}): Promise<VirtioNetDevice> {
  const frontend = new VhostUserFrontend(path, {
    server: true,
    closer: closeInPlace,
    onWait: (line) => told.push(line),
    ...options,
  });
  return VirtioNetDevice.open(frontend, { queueSize: 8, buffers: 32, hugepages: 'never' });
}

function connectBackend(): void {
  backend = new VhostUserBackend({ path, reactor, windows, client: true, closer: closeInPlace });
}

async function opened(options?: VhostUserFrontendOptions): Promise<VirtioNetDevice> {
  const opening = open(options);
  await until('the socket is there', () => existsSync(path));
  connectBackend();
  device = await opening;
  return device;
}

it('waits on a socket that is for its owner only, says so, and removes it at the end', async () => {
  const opening = open();
  await until('it waits', () => told.length === 1);
  expect(told).toEqual([`vhost-user:${path},server=1: waits for a backend to connect`]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  connectBackend();
  device = await opening;
  expect(device.isUp).toBe(true);
  await until('the backend has both queues', () => !!(backend?.txQueue(0) && backend.rxQueue(0)));
  await device.close();
  expect(existsSync(path)).toBe(false);
});

it('takes the next backend when one is gone, whatever happened to the first signal', async () => {
  const signal = new AbortController();
  const net = await opened({ signal: signal.signal });
  const links: string[] = [];
  net.onLink = (state) => links.push(state);
  signal.abort();
  for (let round = 1; round <= 2; round++) {
    backend?.close();
    await until('the device is down', () => !net.isUp);
    await until('the socket is there', () => existsSync(path));
    connectBackend();
    await until('the device is up', () => net.isUp);
    expect(net.counters().reconnects).toBe(round);
  }
  expect(links).toEqual(['down', 'up', 'down', 'up']);
  expect(told).toHaveLength(1);
});

it('can be closed while it waits again', async () => {
  const net = await opened();
  const made = (): bigint | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })?.ctimeNs;
  const first = made();
  backend?.close();
  await until('it waits on a new socket', () => ![first, undefined].includes(made()));
  await net.close();
  expect(existsSync(path)).toBe(false);
});

it('stops waiting when it is told to, before it began or meanwhile', async () => {
  const stop = new AbortController();
  const opening = open({ signal: stop.signal });
  const refused = expect(opening).rejects.toThrow(`${path},server=1: stopped before a backend had connected`);
  await until('it waits', () => told.length === 1);
  stop.abort();
  await refused;
  expect(existsSync(path)).toBe(false);
  await expect(open({ signal: stop.signal })).rejects.toThrow('stopped before a backend had connected');
  expect(existsSync(path)).toBe(false);
});

it('fails when the backend hangs up as soon as it connects, and leaves nothing', async () => {
  const opening = open();
  const refused = expect(opening).rejects.toThrow(/server=1: .*(hung up|closed)/);
  await until('the socket is there', () => existsSync(path));
  connectBackend();
  backend?.close();
  await refused;
  expect(existsSync(path)).toBe(false);
});

it('does not replace a file that is there', async () => {
  writeFileSync(path, 'mine');
  await expect(open()).rejects.toThrow(/server=1: the file is already there \(EADDRINUSE\): stop the process/);
  expect(statSync(path).isFile()).toBe(true);
});

it('says what is wrong with the path', async () => {
  path = `${directory.path}/none/s`;
  await expect(open()).rejects.toThrow(/^vhost-user:.*,server=1: bind .*\(ENOENT\)$/);
});
