/** `tspmd/switch`: a switch that a program opens. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ScriptError, SwitchError } from '../../../bess/index.js';
import { type OpenSwitchOptions, openSwitchOn, type RunningSwitch } from '../../../bess/open-switch.js';
import { FakePortDevice, frame } from '../../support/bess/fake-port.js';
import { until } from '../../support/until.js';

const SOURCE = `
vm = PMDPort(name='vm', vdev='eth_vhost0,iface=%s' % $SOCKET)
kernel = PMDPort(name='kernel', vdev='net_tap0,iface=t0')
PortInc(port=vm) -> PortOut(port=kernel)
`;

describe('openSwitch', () => {
  let directory: string;
  let devices: FakePortDevice[];
  let warnings: string[];
  let opened: RunningSwitch | null;
  let sharedClosed: boolean;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'open-'));
    devices = [];
    warnings = [];
    opened = null;
    sharedClosed = false;
  });

  afterEach(async () => {
    await opened?.stop();
    rmSync(directory, { recursive: true });
  });

  async function open(options: Partial<OpenSwitchOptions> = {}): Promise<RunningSwitch> {
    const device = (): FakePortDevice => {
      const made = new FakePortDevice();
      devices.push(made);
      return made;
    };
    opened = await openSwitchOn(
      {
        script: { name: 'mine.bess', source: SOURCE },
        variables: { SOCKET: join(directory, 'vm.sock') },
        warn: (line) => warnings.push(line),
        ...options,
      },
      {
        vhost: device,
        tap: device,
        afPacket: device,
        close: () => {
          sharedClosed = true;
        },
      },
    );
    return opened;
  }

  it('runs the text of a script, and reports its ports, modules and counters', async () => {
    const sw = await open();
    expect(sw.script).toBe('mine.bess');
    expect(sw.modules).toBe(2);
    (devices[1] as FakePortDevice).isUp = false;
    (devices[1] as FakePortDevice).problem = 'it is down';
    expect(sw.ports).toEqual([
      { name: 'vm', kind: 'vhost-user', address: join(directory, 'vm.sock'), state: 'up', problem: null },
      { name: 'kernel', kind: 'tap', address: 't0', state: 'down', problem: 'it is down' },
    ]);
    devices[0]?.queue.offer(frame('52:54:00:00:00:01', 1));
    devices[0]?.queue.onKick?.();
    await until('the packet', () => sw.stats().summary.received === 1);
    expect(sw.stats().ports.vm?.inc.packets).toBe(1);
  });

  it('stops once, closes its devices, and keeps the last counters', async () => {
    const sw = await open();
    devices[0]?.queue.offer(frame('52:54:00:00:00:01', 1));
    devices[0]?.queue.onKick?.();
    await until('the packet', () => sw.stats().summary.received === 1);
    await Promise.all([sw.stop(), sw.stop(), sw[Symbol.asyncDispose]()]);
    await sw.closed;
    expect(devices.every(({ closed }) => closed)).toBe(true);
    expect(sharedClosed).toBe(true);
    expect(sw.stats().summary.forwarded).toBe(1);
    expect(sw.ports).toEqual([]);
  });

  it('stops when its signal aborts; one that is aborted already opens nothing', async () => {
    const controller = new AbortController();
    const sw = await open({ signal: controller.signal });
    controller.abort();
    await sw.closed;
    expect(devices.every(({ closed }) => closed)).toBe(true);
    devices = [];
    await expect(open({ signal: controller.signal })).rejects.toMatchObject({ code: 'ERR_TSPMD_ABORTED' });
    expect(devices).toEqual([]);
  });

  it('reports by `closed` what has stopped it, with its devices closed by then', async () => {
    const sw = await open();
    (devices[0] as FakePortDevice).queue.take = () => {
      throw new Error('broken queue');
    };
    devices[0]?.queue.onKick?.();
    const error = await sw.closed.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SwitchError);
    expect(error).toMatchObject({ code: 'ERR_TSPMD_SWITCH', message: 'broken queue' });
    expect(devices.every(({ closed }) => closed)).toBe(true);
  });

  it('throws what is wrong with a script, with its place and errno', async () => {
    const error = await open({ script: { name: 'mine.bess', source: "PortInc(port='x')" } }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ScriptError);
    expect(error).toMatchObject({
      code: 'ERR_TSPMD_SCRIPT',
      message: 'mine.bess:1:1: Port x not found (ENODEV)',
      file: 'mine.bess',
      line: 1,
      column: 1,
      errno: 'ENODEV',
    });
    await expect(open({ script: { name: 'x', source: 'if' } })).rejects.toMatchObject({ line: 1, errno: null });
    await expect(open({ script: 'none.bess' })).rejects.toMatchObject({ file: 'none.bess', line: null });
  });

  it('refuses options that it does not know', async () => {
    const wrong = { idle: 'lazy' } as unknown as Partial<OpenSwitchOptions>;
    await expect(open(wrong)).rejects.toMatchObject({
      code: 'ERR_TSPMD_CONFIG',
      message: "idle: 'lazy' is none of adaptive, spin",
    });
    await expect(open({ script: undefined } as unknown as Partial<OpenSwitchOptions>)).rejects.toMatchObject({
      code: 'ERR_TSPMD_CONFIG',
    });
  });
});
