/**
 * Every error that a user can meet is exported, has its own code, and is thrown by the calls that are documented to
 * throw it.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { allowedCpus, isListed, onlineCpus } from '../../../src/cpus.js';
import * as tspmd from '../../../src/index.js';
import { FakeDevice } from '../../../src/testing/fake-device.js';
import { OUR_IP } from '../../support/link/frames.js';
import { makeCore } from '../../support/link/test-core.js';
import { PortLab } from '../../support/threads/port-lab.js';
import { until } from '../../support/until.js';

const config = { device: 'vhost-user:/tmp/x.sock', ip: `${OUR_IP}/24` };
const openDevice = async (): Promise<FakeDevice> => new FakeDevice();

/** What a call throws or rejects with. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const CLASSES = {
  ERR_TSPMD_ABORTED: tspmd.AbortedError,
  ERR_TSPMD_APP: tspmd.AppError,
  ERR_TSPMD_ARGUMENT: tspmd.ArgumentError,
  ERR_TSPMD_CONFIG: tspmd.ConfigError,
  ERR_TSPMD_CORE: tspmd.CoreError,
  ERR_TSPMD_DEVICE: tspmd.DeviceError,
  ERR_TSPMD_LEASE: tspmd.LeaseError,
  ERR_TSPMD_OWNERSHIP: tspmd.OwnershipError,
  ERR_TSPMD_STATE: tspmd.StateError,
  ERR_TSPMD_WORKER: tspmd.WorkerError,
} as const;

const CALLS: [string, keyof typeof CLASSES, () => unknown][] = [
  ['init without arguments', 'ERR_TSPMD_CONFIG', () => (tspmd.init as () => Promise<unknown>)()],
  ['a wrong configuration', 'ERR_TSPMD_CONFIG', () => tspmd.init({ ...config, mtu: 1 })],
  ['a CPU that is not there', 'ERR_TSPMD_CONFIG', () => tspmd.init({ ...config, cores: [90] }, { openDevice })],
  [
    `a device of one's own with 1kb`,
    'ERR_TSPMD_CONFIG',
    () => {
      return tspmd.init({ ...config, mode: '1kb', app: 'echo' }, { openDevice });
    },
  ],
  ['an app that is not there', 'ERR_TSPMD_APP', () => tspmd.init({ ...config, app: 'nonsense' })],
  ['a file that is not there', 'ERR_TSPMD_APP', () => tspmd.loadStack('/nonexistent.js')],
  [
    'options that an app does not know',
    'ERR_TSPMD_APP',
    () => {
      return tspmd.init({ ...config, app: 'echo', appOptions: { nonsense: 1 } }, { openDevice });
    },
  ],
  ['a device that is not there', 'ERR_TSPMD_DEVICE', () => tspmd.init({ ...config, device: 'vhost-user:/none/x' })],
  ['a NIC that is not there', 'ERR_TSPMD_DEVICE', () => tspmd.init({ ...config, device: 'ffff:ff:1f.7' })],
  [
    'an aborted wait',
    'ERR_TSPMD_ABORTED',
    () => {
      return tspmd.init({ ...config, device: 'vhost-user:/tmp/never,server=1' }, { signal: AbortSignal.abort() });
    },
  ],
  ['a text that is no address', 'ERR_TSPMD_ARGUMENT', () => tspmd.parseIpv4('10.0.0')],
  ['IPv6', 'ERR_TSPMD_ARGUMENT', () => tspmd.parseIpv4('::1')],
  ['a text that is no MAC address', 'ERR_TSPMD_ARGUMENT', () => tspmd.parseMac('52')],
  [
    'a core that is not there',
    'ERR_TSPMD_ARGUMENT',
    async () => {
      (await tspmd.init(config, { openDevice })).core(1);
    },
  ],
  [
    'an indirection table of two entries',
    'ERR_TSPMD_ARGUMENT',
    async () => {
      (await tspmd.init(config, { openDevice })).indirection.set([0, 0]);
    },
  ],
  [
    'a flow without ports',
    'ERR_TSPMD_ARGUMENT',
    () => {
      makeCore().core.rssCoreFor({ protocol: 17, source: 1, destination: 2 });
    },
  ],
  [
    'a buffer given back twice',
    'ERR_TSPMD_OWNERSHIP',
    () => {
      const { core } = makeCore();
      const buffer = core.getBufferTx()!;
      core.release(buffer);
      core.release(buffer);
    },
  ],
  [
    `another port's buffer`,
    'ERR_TSPMD_OWNERSHIP',
    () => {
      makeCore().core.addBufferToRing(makeCore().core.getBufferTx()!);
    },
  ],
  [
    'two waits at once',
    'ERR_TSPMD_STATE',
    () => {
      const { core } = makeCore();
      void core.waitForPackets();
      return core.waitForPackets();
    },
  ],
  [
    'a wait after the end',
    'ERR_TSPMD_STATE',
    async () => {
      const port = await tspmd.init(config, { openDevice });
      await port.stop();
      return port.core().waitForPackets();
    },
  ],
  [
    'run without an app',
    'ERR_TSPMD_STATE',
    async () => {
      return (await tspmd.init(config, { openDevice })).run(AbortSignal.abort());
    },
  ],
  [
    'a poll that returns nothing',
    'ERR_TSPMD_APP',
    () => {
      const stack = { poll: () => undefined } as unknown as tspmd.Stack;
      return tspmd.runStack(makeCore().core, stack, { signal: new AbortController().signal });
    },
  ],
];

describe('errors', () => {
  it.each(CALLS)('%s: %s', async (_, code, call) => {
    const error = await thrownBy(call);
    expect(error).toBeInstanceOf(CLASSES[code]);
    expect(error).toBeInstanceOf(tspmd.TspmdError);
    expect(error).toMatchObject({ code, name: CLASSES[code].name });
  });

  it('are all of the classes that are exported', () => {
    const exported = Object.values(tspmd).filter(
      (value) => typeof value === 'function' && value.prototype instanceof tspmd.TspmdError,
    );
    expect(new Set(exported)).toEqual(new Set(Object.values(CLASSES)));
  });

  it('keep the error of the system as their cause', async () => {
    const error = await thrownBy(() => tspmd.init({ ...config, device: 'vhost-user:/none/x' }));
    expect((error as Error).message).toContain('vhost-user:/none/x');
    expect((error as Error).cause).toBeInstanceOf(Error);
  });

  it('name the CPUs that the machine has', async () => {
    const error = await thrownBy(() => tspmd.init({ ...config, cores: [500] }, { openDevice }));
    expect((error as tspmd.ConfigError).faults).toEqual([
      `cores: there is no CPU 500; this machine has CPUs ${onlineCpus()}`,
    ]);
  });
});

describe('errors of the threads of a port', () => {
  let lab: PortLab;

  afterEach(async () => {
    await lab.close();
  });

  it.each(['1kb', '2kb'] as const)('%s: a device that does not exist is a DeviceError, too', async (mode) => {
    lab = new PortLab();
    const error = await thrownBy(() => lab.open({ mode }));
    expect(error).toMatchObject({ code: 'ERR_TSPMD_DEVICE', name: 'DeviceError' });
  });

  it('a stack that throws is the cause of a CoreError, which names the core', async () => {
    lab = new PortLab();
    lab.listen();
    const port = await lab.open({ mode: '1kb', app: lab.stack('poll') });
    const errors: tspmd.CoreError[] = [];
    port.on('coreFailure', (_, error) => errors.push(error));
    await lab.fault(1);
    await until('the core has failed', () => errors.length > 0, lab.receive);
    expect(errors[0]).toMatchObject({ code: 'ERR_TSPMD_CORE', core: 1, message: 'core 1: out of sockets' });
    expect(errors[0]!.cause).toMatchObject({ message: 'out of sockets' });
    expect(errors[0]!.stack).toContain('poll.mjs:');
  });
});

describe('lists of CPUs, as the kernel writes them', () => {
  it('are read', () => {
    const listed = (list: string): number[] => [...new Array(12).keys()].filter((cpu) => isListed(list, cpu));
    expect(listed('0')).toEqual([0]);
    expect(listed('0-3')).toEqual([0, 1, 2, 3]);
    expect(listed('0-1,8,10-11')).toEqual([0, 1, 8, 10, 11]);
  });

  it('are those of this machine', () => {
    const all = [...new Array(4096).keys()].filter((cpu) => isListed(onlineCpus(), cpu));
    expect(all).toHaveLength(cpus().length);
    expect(readFileSync('/proc/self/status', 'utf8')).toContain(allowedCpus());
    expect(allowedCpus()).toMatch(/^[\d,-]+$/);
  });
});
