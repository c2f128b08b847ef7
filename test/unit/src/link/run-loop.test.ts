import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import createEcho from '../../../../src/apps/echo.js';
import {
  type ConfigError,
  type EventLoopStack,
  init,
  runStack,
  type Stack,
  type StopSignal,
} from '../../../../src/index.js';
import type { SingleCore } from '../../../../src/link/single-core.js';
import { createStack, loadStack } from '../../../../src/stack.js';
import { FakeDevice } from '../../../../src/testing/fake-device.js';
import { ethernet, icmpEcho, ipv4, OUR_IP, OUR_MAC, PEER_MAC } from '../../../support/link/frames.js';
import { learnPeer, makeCore } from '../../../support/link/test-core.js';

const config = { device: 'vhost-user:/tmp/x.sock', ip: `${OUR_IP}/24` };
const ping = ethernet(ipv4(icmpEcho([1, 2, 3]), { protocol: 1 }));

async function open(device: FakeDevice, warn: (line: string) => void = () => {}) {
  return init(config, { openDevice: async () => device, warn });
}

describe('init', () => {
  it('opens the device with the checked configuration, and announces the address', async () => {
    const device = new FakeDevice();
    const seen: unknown[] = [];
    const port = await init(
      { ...config, gateway: '10.0.0.9' },
      {
        openDevice: async (resolved) => {
          seen.push(resolved);
          return device;
        },
      },
    );
    expect(seen).toEqual([port.config]);
    expect(port.config.gateway).toBe(0x0a000009);
    expect(device.frames).toHaveLength(1);
    expect(port.status()).toMatchObject({
      cores: [{ index: 0, isAlive: true, isAsleep: false, rings: null }],
      workers: [],
    });
    expect(new Set(port.indirection.get())).toEqual(new Set([0]));
    expect(port.core().mac).toEqual(Uint8Array.from(OUR_MAC));
    expect(() => port.core(1)).toThrow('core 1: this port has 1');
    expect(port.counters()).toMatchObject({ arp_announcements: 1, tx_packets: 1 });
    await port.stop();
  });

  it('opens nothing when the configuration is wrong', async () => {
    let opened = 0;
    const openDevice = async () => {
      opened++;
      return new FakeDevice();
    };
    const failure = init({ device: 'x', ip: 'y' }, { openDevice });
    await expect(failure).rejects.toMatchObject({ name: 'ConfigError' } satisfies Partial<ConfigError>);
    expect(opened).toBe(0);
  });

  it('reports address, MTU and link of the device', async () => {
    const device = new FakeDevice();
    Object.assign(device, { notice: 'mock: no hugepages' });
    const lines: string[] = [];
    const port = await open(device, (line) => lines.push(line));
    expect(lines).toEqual(['mock: no hugepages']);
    await port.stop();
  });

  it('passes on the messages of the driver', async () => {
    const openDevice = () => Promise.reject(new Error('vhost-user:/tmp/x.sock: nobody listens'));
    await expect(init(config, { openDevice })).rejects.toThrow('nobody listens');
  });

  it('closes the device when the core cannot be made', async () => {
    const device = new FakeDevice();
    device.txBurst = () => {
      throw new Error('broken');
    };
    await expect(open(device)).rejects.toThrow('broken');
    expect(device.closed).toBe(true);
  });

  it('reports the link, and announces the address again when the link is back', async () => {
    const device = new FakeDevice();
    const port = await open(device);
    const events: string[] = [];
    port.on('link', (state, reason) => events.push(`${state}: ${reason}`));
    device.setLink(false);
    device.mac.set(PEER_MAC);
    device.setLink(true);
    expect(events).toEqual(['down: the backend went', 'up: the backend came']);
    expect(device.frames.map((frame) => [...frame.subarray(6, 12)])).toEqual([OUR_MAC, PEER_MAC]);
    await port.stop();
  });

  it('counts what the ring had no room for when it stops', async () => {
    const device = new FakeDevice({ txRing: 1, holdTx: true });
    const port = await open(device);
    const core = port.core();
    const buffer = core.getBufferTx()!;
    const packet = ipv4([1], { source: OUR_IP, destination: '255.255.255.255' });
    buffer.bytes.set(packet);
    buffer.length = packet.length;
    expect(core.addBufferToRing(buffer)).toBe(true);
    await port.stop();
    expect(port.counters()).toMatchObject({ tx_queued: 1, tx_lost_link_down: 1, tx_packets: 1 });
    expect((core as SingleCore).held().pending).toBe(0);
  });

  it('stops once: ends waits, closes the device', async () => {
    const device = new FakeDevice();
    let closes = 0;
    const close = device.close.bind(device);
    device.close = () => {
      closes++;
      return close();
    };
    const port = await open(device);
    const waiting = port.core().waitForPackets();
    await Promise.all([port.stop(), port.stop()]);
    expect(await waiting).toBe(0);
    expect(closes).toBe(1);
  });
});

describe('runStack', () => {
  /** Runs a stack until `isDone`, which is checked in each turn of the event loop. */
  async function runUntil(
    t: ReturnType<typeof makeCore>,
    stack: Stack,
    idle: 'adaptive' | 'spin',
    isDone: () => boolean,
  ): Promise<void> {
    const abort = new AbortController();
    const running = runStack(t.core, stack, { idle, signal: abort.signal });
    let done = false;
    for (let turns = 0; turns < 10_000 && !done; turns++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      done = isDone();
    }
    abort.abort();
    await running;
    expect(done).toBe(true);
  }

  it.each(['adaptive', 'spin'] as const)('%s: handles packets, lets timers run, stops the stack', async (idle) => {
    const t = makeCore();
    learnPeer(t);
    let stopped = 0;
    const echo = createEcho(t.core);
    const stack = { poll: () => echo.poll(), stop: () => stopped++ };
    const timer = setInterval(() => t.device.inject(ping), 1);
    await runUntil(t, stack, idle, () => t.device.frames.length >= 5);
    clearInterval(timer);
    expect(stopped).toBe(1);
  });

  it('calls pollAgain 15 times or more after each poll, and does not sleep on either', async () => {
    const t = makeCore();
    /** How often pollAgain was called after each poll. */
    const again: number[] = [];
    const found = (): number => t.core.getRxCount() + 1;
    const stack = {
      poll() {
        again.push(0);
        return found();
      },
      pollAgain() {
        again[again.length - 1]!++;
        return found();
      },
    };
    await runUntil(t, stack, 'adaptive', () => again.length > 50);
    // The last ones may have been cut short. How many there are depends on the time that they take.
    const whole = again.slice(0, 50);
    expect(whole[0]).toBe(15);
    expect(Math.min(...whole)).toBe(15);
    expect(Math.max(...whole)).toBeLessThan(1024);
    expect(t.device.interruptsOn).toBe(false);
  });

  it('adaptive: sleeps when nothing comes, and wakes for the signal', async () => {
    const t = makeCore();
    let polls = 0;
    const stack = {
      poll: () => {
        polls++;
        return t.core.getRxCount();
      },
    };
    await runUntil(t, stack, 'adaptive', () => t.device.interruptsOn);
    expect(polls).toBeGreaterThan(0);
    expect(t.device.interruptsOn).toBe(false);
  });

  it('adaptive: calls a stack with timers in time', async () => {
    const t = makeCore({ clock: () => performance.now() });
    let sleeps = 0;
    const stack = {
      poll: () => 0,
      maxSleepMs: () => {
        sleeps++;
        return 1;
      },
    };
    await runUntil(t, stack, 'adaptive', () => sleeps > 3);
  });

  it('lets other code run if a stack leaves its packets or wants no sleep', async () => {
    const t = makeCore();
    t.device.inject(ping);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await runUntil(t, { poll: () => 0 }, 'adaptive', () => turns > 3);
    turns = 0;
    await runUntil(t, { poll: () => 0, maxSleepMs: () => 0 }, 'adaptive', () => turns > 3);
    clearInterval(timer);
  });

  it('rejects with what the stack threw, after it has stopped the stack', async () => {
    const t = makeCore();
    let stopped = 0;
    const stack = {
      poll: () => {
        throw new Error('out of sockets');
      },
      stop: () => stopped++,
    };
    const running = runStack(t.core, stack, { signal: new AbortController().signal });
    await expect(running).rejects.toThrow('out of sockets');
    expect(stopped).toBe(1);
  });

  it('rejects with the first error if stopping the stack fails, too', async () => {
    const t = makeCore();
    const fault = (text: string) => () => {
      throw new Error(text);
    };
    const running = runStack(
      t.core,
      { poll: fault('poll'), stop: fault('stop') },
      { signal: new AbortController().signal },
    );
    await expect(running).rejects.toThrow('poll');
  });

  it.each([
    ['nothing', () => undefined],
    ['a promise', async () => 1],
  ])('rejects a poll that returns %s', async (_, poll) => {
    const t = makeCore();
    const stack = { poll } as unknown as Stack;
    const running = runStack(t.core, stack, { signal: new AbortController().signal });
    await expect(running).rejects.toThrow('must return how many packets');
  });

  it('sleeps or spins as the core was configured', async () => {
    const t = makeCore({ idle: 'spin' });
    const abort = new AbortController();
    const running = runStack(t.core, { poll: () => t.core.getRxCount() }, { signal: abort.signal });
    let slept = false;
    t.device.whileArming = () => {
      slept = true;
    };
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 1));
    abort.abort();
    await running;
    expect(slept).toBe(false);
  });

  it('polls a stack that could also drive itself', async () => {
    const t = makeCore();
    class Both implements Stack, EventLoopStack {
      polls = 0;
      runs = 0;
      poll(): number {
        this.polls++;
        return t.core.getRxCount();
      }
      async run(): Promise<void> {
        this.runs++;
      }
    }
    const stack = new Both();
    await runUntil(t, stack, 'adaptive', () => stack.polls > 0);
    expect(stack.runs).toBe(0);
  });

  it('lets a stack drive itself that has no poll, and wakes its core at the end', async () => {
    const t = makeCore();
    const abort = new AbortController();
    let waits = 0;
    const run = async (signal: StopSignal): Promise<void> => {
      while (!signal.aborted) {
        waits++;
        const waiting = t.core.waitForPackets();
        setTimeout(() => abort.abort(), 1);
        await waiting;
      }
    };
    await runStack(t.core, { run }, { signal: abort.signal });
    expect(waits).toBe(1);
  });

  it('does not begin when the signal has aborted', async () => {
    const t = makeCore();
    let polls = 0;
    await runStack(t.core, { poll: () => ++polls }, { signal: AbortSignal.abort() });
    expect(polls).toBe(0);
  });
});

describe('loading a stack', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tspmd-stack-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function write(name: string, text: string): string {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  }

  it('takes a module with a default export, and its layer', async () => {
    const file = write('good.mjs', "export const layer = 'ethernet'; export default () => ({ poll: () => 7 });");
    const module = await loadStack(file);
    expect(module.layer).toBe('ethernet');
    expect((createStack(file, module, makeCore().core) as Stack).poll()).toBe(7);
    expect((await loadStack(write('ip.mjs', 'export default () => ({ poll: () => 7 });'))).layer).toBe('ip');
  });

  it.each([
    ['none.mjs', 'export const x = 1;', 'has no default export'],
    ['text.mjs', "export default 'x';", 'its default export is of type string, not a function'],
    ['layer.mjs', "export const layer = 'tcp'; export default () => {};", `its layer is "tcp", neither`],
    ['throws.mjs', "throw new Error('first line\\nsecond line');", 'cannot be imported: first line'],
    ['broken.mjs', 'export default (', 'cannot be imported:'],
  ])('says in one line what is wrong with %s', async (name, text, message) => {
    const file = write(name, text);
    const error = await loadStack(file).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toContain(`stack ${file}: ${message}`);
    expect((error as Error).message).not.toContain('\n');
  });

  it('says so when there is no such file, and when the function makes no stack', async () => {
    await expect(loadStack(join(folder, 'absent.js'))).rejects.toThrow('there is no such file');
    const file = write('empty.mjs', 'export default () => ({});');
    const module = await loadStack(file);
    expect(() => createStack(file, module, makeCore().core)).toThrow(
      'returned no object with a poll() or a run() method',
    );
  });
});
