/**
 * The embedded switch as `tspmd switch` runs it, with our own driver as both VMs, over real sockets and shared memory.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OpenSwitchOptions } from '../../bess/open-switch.js';
import { renderStats } from '../../bess/stats.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { frame } from '../support/bess/fake-port.js';
import { fetchSwitchStats } from '../support/observe/switch-stats.js';

/** From the build: only it has the file of the thread that answers for the switch. */
const { runSwitch } = (await import(
  new URL('../../dist/bess/run-switch.js', import.meta.url).href
)) as typeof import('../../bess/run-switch.js');

const FORWARD_SCRIPT = fileURLToPath(new URL('../../bess/forward_script.bess', import.meta.url));
const VM1 = '52:54:00:00:00:01';
const VM2 = '52:54:00:00:00:02';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** A VM: the driver, and the frames that it has received. */
class Vm {
  readonly received: Uint8Array[] = [];
  private readonly handles = new Uint32Array(32);
  private readonly lengths = new Uint32Array(32);

  private constructor(readonly device: VirtioNetDevice) {}

  static async connect(path: string): Promise<Vm> {
    return new Vm(await VirtioNetDevice.open(new VhostUserFrontend(path), { hugepages: 'never', queueSize: 256 }));
  }

  /** Sends up to 32 frames. */
  send(...frames: Uint8Array[]): void {
    const { pool, memory } = this.device;
    frames.forEach((bytes, i) => {
      const handle = pool.get();
      memory.u8.set(bytes, pool.offsetOf(handle) + FRAME_OFFSET);
      this.handles[i] = handle;
      this.lengths[i] = bytes.length;
    });
    expect(this.device.txBurst(this.handles, this.lengths, frames.length)).toBe(frames.length);
  }

  receive(): void {
    const { pool, memory, rxHandles, rxLengths } = this.device;
    const count = this.device.rxBurst(32);
    for (let i = 0; i < count; i++) {
      const handle = rxHandles[i] ?? 0;
      const at = pool.offsetOf(handle) + FRAME_OFFSET;
      this.received.push(memory.u8.slice(at, at + (rxLengths[i] ?? 0)));
      pool.put(handle);
    }
  }

  get tags(): number[] {
    return this.received.map((bytes) => (bytes[14] ?? 0) + (bytes[15] ?? 0) * 256);
  }
}

describe('tspmd switch', () => {
  let directory: string;
  let runtimeDirectory: string | undefined;
  let lines: string[];
  let logs: string[];
  let vms: Vm[];
  let stop: () => void;
  let running: Promise<void>;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'switch-'));
    runtimeDirectory = process.env.XDG_RUNTIME_DIR;
    process.env.XDG_RUNTIME_DIR = directory;
    lines = [];
    logs = [];
    vms = [];
  });

  afterEach(async () => {
    for (const { device } of vms) await device.close();
    stop();
    await running.catch(() => undefined);
    if (runtimeDirectory === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = runtimeDirectory;
    rmSync(directory, { recursive: true });
  });

  /** Runs forward_script.bess, or another script; resolves when the switch is ready. */
  async function start(options: Partial<OpenSwitchOptions> = {}): Promise<void> {
    const controller = new AbortController();
    stop = () => controller.abort();
    running = runSwitch({
      script: FORWARD_SCRIPT,
      variables: { VM1_SOCKET: join(directory, '1.sock'), VM2_SOCKET: join(directory, '2.sock') },
      signal: controller.signal,
      print: (line) => lines.push(line),
      warn: (line) => logs.push(line),
      ...options,
    });
    await Promise.race([running, until(() => lines.some((line) => line.startsWith('ready')))]);
  }

  async function connectBoth(): Promise<[Vm, Vm]> {
    const both: [Vm, Vm] = [await Vm.connect(join(directory, '1.sock')), await Vm.connect(join(directory, '2.sock'))];
    vms.push(...both);
    // Frames to a driver whose queues have not started are dropped. The switch learns of the start by a kick.
    await untilUp('vm1', 'vm2');
    return both;
  }

  async function untilUp(...ports: string[]): Promise<void> {
    let stats = await fetchSwitchStats(process.pid);
    while (!ports.every((port) => stats.ports[port]?.up)) stats = await fetchSwitchStats(process.pid);
  }

  /** Waits for frames that must come; the test's timeout ends the wait if they do not. */
  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await nextTurn();
      for (const vm of vms) vm.receive();
    }
  }

  it.each(['adaptive', 'spin'] as const)('joins two VMs (%s)', async (idle) => {
    await start({ idle });
    expect(lines).toEqual(['ready: 2 ports, 6 modules, forward_script.bess']);
    const [one, two] = await connectBoth();
    one.send(...Array.from({ length: 32 }, (_, i) => frame(VM2, i, 60 + i)));
    two.send(frame(VM1, 100, 1514), frame(BROADCAST, 101), frame('02:00:00:00:00:77', 102));
    await until(() => one.tags.length === 2 && two.tags.length === 33);
    expect(one.tags).toEqual([100, 101]);
    expect(two.tags.filter((tag) => tag < 100)).toEqual(Array.from({ length: 32 }, (_, i) => i));
    expect(one.received[0]).toEqual(frame(VM1, 100, 1514));
    expect(two.received.find((bytes) => bytes.length === 91)).toEqual(frame(VM2, 31, 91));
    const { summary } = await fetchSwitchStats(process.pid);
    expect(summary).toMatchObject({ received: 35, copied: 1, forwarded: 35, replicated: 2 });
    expect(summary.dropped).toMatchObject({ total: 1, unknownDestination: 1 });
  });

  it('wakes up from its sleep, again and again', async () => {
    await start();
    const [one, two] = await connectBoth();
    for (let i = 0; i < 20; i++) {
      one.send(frame(VM2, i));
      await until(() => two.tags.length === i + 1);
      // Long enough for the switch to fall asleep, or nearly so: the test wants this race.
      for (let turn = 0; turn < 5 * i; turn++) await nextTurn();
    }
    expect(two.tags).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('lets VMs come and go, and counts what is sent to one that is away', async () => {
    await start();
    const [one, two] = await connectBoth();
    await two.device.close();
    await until(() => logs.some((line) => line.startsWith('port vm2: ') && line.includes('gone')));
    one.send(frame(VM2, 1));
    let stats = await fetchSwitchStats(process.pid);
    while (stats.summary.received === 0) stats = await fetchSwitchStats(process.pid);
    expect(stats.ports.vm2).toMatchObject({ up: false, out: { packets: 0, dropped: 1 } });
    expect(stats.summary.dropped).toMatchObject({ total: 1, noPeer: 1 });
    const again = await Vm.connect(join(directory, '2.sock'));
    vms.push(again);
    await untilUp('vm2');
    one.send(frame(VM2, 2));
    await until(() => again.tags.length === 1);
    expect(again.tags).toEqual([2]);
  });

  it('says that a socket was removed or replaced, and shows it with its counters', async () => {
    await start();
    unlinkSync(join(directory, '1.sock'));
    unlinkSync(join(directory, '2.sock'));
    writeFileSync(join(directory, '2.sock'), '');
    const problems = (): string[] => logs.filter((line) => line.startsWith('port '));
    await until(() => problems().length === 2);
    expect(problems()).toEqual([
      expect.stringMatching(/^port vm1: the socket \S+1\.sock was removed: nobody can connect to this port/),
      expect.stringMatching(/^port vm2: the socket \S+2\.sock was replaced, /),
    ]);
    const stats = await fetchSwitchStats(process.pid);
    expect(stats.ports.vm1?.problem).toContain('was removed');
    expect(renderStats(stats)).toMatch(/^port vm2: the socket .* was replaced/m);
    stop();
    await running;
    expect(existsSync(join(directory, '2.sock'))).toBe(true);
  });

  it('names a station that no entry of the script leads to', async () => {
    await start();
    const [one] = await connectBoth();
    const unknown = frame(BROADCAST, 1);
    unknown.set([0x3a, 1, 2, 3, 4, 5], 6);
    one.send(unknown);
    await until(() => logs.some((line) => line.includes('the station 3a:01:02:03:04:05 has no entry')));
    expect(logs.find((line) => line.includes('3a:01'))).toMatch(/^port vm1: .* 52:54:00:00:00:01 \(to vm1_out\), /);
  });

  it('prints its counters at SIGUSR1, and to a client of its control socket', async () => {
    await start();
    const before = lines.length;
    process.kill(process.pid, 'SIGUSR1');
    await until(() => lines.length > before);
    expect(lines.at(-1)).toContain('fwd::L2Forward(3 addresses)');
    const stats = await fetchSwitchStats(process.pid);
    expect(renderStats(stats)).toContain('forwarded 0');
    expect(stats).toMatchObject({ ports: { vm1: { up: false } } });
  });

  it('leaves nothing behind when it is stopped', async () => {
    await start();
    await connectBoth();
    stop();
    await running;
    expect(readdirSync(directory)).toEqual([]);
    await until(() => vms.every(({ device }) => !device.isUp));
    expect(process.listenerCount('SIGUSR1')).toBe(0);
  });

  it('leaves nothing behind when the script fails after it has made a port', async () => {
    const file = join(directory, 'bad.bess');
    const socket = join(directory, 'x.sock');
    writeFileSync(file, `p = PMDPort(vdev='eth_vhost0,iface=${socket}')\nPortInc(port='q')\n`);
    await expect(start({ script: file, variables: {} })).rejects.toThrow(`${file}:2:1: Port q not found (ENODEV)`);
    expect(existsSync(socket)).toBe(false);
    expect(lines).toEqual([]);
  });

  it('says why it cannot listen', async () => {
    const file = join(directory, 'bad.bess');
    const long = join(directory, 'x'.repeat(120));
    writeFileSync(file, `p = PMDPort(vdev='eth_vhost0,iface=${long}')\n`);
    await expect(start({ script: file, variables: {} })).rejects.toThrow(
      /^\S+bad\.bess:1:5: .*a unix socket takes 1 to 107 \(ENODEV\)$/,
    );
  });
});
