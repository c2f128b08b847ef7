/** A stack that does not poll while packets wait for it: one warning when that is noticed, one when it polls again. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { init } from '../../../../src/index.js';
import { OwnThreadWatch, ThreadWatch, watchEvery } from '../../../../src/link/watchdog.js';
import { FakeDevice } from '../../../../src/testing/fake-device.js';
import { ethernet, flowPacket, ipv4, OUR_IP } from '../../../support/link/frames.js';
import { makeCore } from '../../../support/link/test-core.js';
import { SteppedPort, takeAll } from '../../../support/threads/stepped-port.js';

const LOOK_MS = 250;

/** Lets `ms` pass, with a look every 250 ms. `before` runs before each look. */
function looker(watch: { look(now: number): void }) {
  let now = 10_000;
  return (ms: number, before: () => void = () => {}): void => {
    for (const end = now + ms; now < end; ) {
      now += LOOK_MS;
      before();
      watch.look(now);
    }
  };
}

describe('the warning about a core in its own thread', () => {
  function watchedCore() {
    const core = { isAlive: true, isAsleep: false, progress: 0, waiting: 0 };
    const lines: string[] = [];
    const watch = new ThreadWatch('core 1', core, (line) => lines.push(line));
    const pass = looker(watch);
    pass(LOOK_MS);
    return { core, lines, pass, watch };
  }

  it('comes once after a second, and once when the core polls again', () => {
    const { core, lines, pass } = watchedCore();
    core.waiting = 37;
    pass(750);
    expect(lines).toEqual([]);
    pass(250);
    expect(lines).toEqual(['core 1: the stack has not polled for 1.0 s, and 37 packets wait for it']);
    pass(5000);
    expect(lines).toHaveLength(1);
    core.progress++;
    pass(5000, () => core.progress++);
    expect(lines.slice(1)).toEqual(['core 1: the stack polls again, after 6.3 s']);
    pass(1000);
    expect(lines).toHaveLength(3);
  });

  it('does not come if nothing waits, or if the core sleeps, polls or has ended', () => {
    const { core, lines, pass } = watchedCore();
    pass(5000);
    core.waiting = 1;
    core.isAsleep = true;
    pass(5000);
    core.isAsleep = false;
    pass(5000, () => core.progress++);
    core.isAlive = false;
    pass(5000);
    expect(lines).toEqual([]);
  });

  it('does not come if nobody looked for long: the core may have slept until now', () => {
    const { core, lines, watch } = watchedCore();
    core.isAsleep = true;
    watch.look(20_000);
    core.isAsleep = false;
    core.waiting = 1;
    watch.look(25_000);
    expect(lines).toEqual([]);
  });

  it('does not come again for a core that has ended meanwhile', () => {
    const { core, lines, pass } = watchedCore();
    core.waiting = 1;
    pass(2000);
    core.isAlive = false;
    pass(5000);
    expect(lines).toHaveLength(1);
  });
});

describe.each(['1kb', '2kb'] as const)('what the other threads see of a core, %s', (mode) => {
  it('changes when the stack polls or takes a packet, and not otherwise', () => {
    const port = new SteppedPort({ mode, stackCores: 1 });
    const core = port.cores[0]!;
    const rxQueue = port.interconnect.ring(0, 'rxQueue');
    const polls = (): number => port.coreCounters[0]!.snapshot().loop_polls;
    for (let i = 0; i < 100; i++) port.device.inject(flowPacket(1, i));
    port.settle();
    expect([polls(), rxQueue.headNow, rxQueue.count]).toEqual([0, 0, 100]);
    for (const buffer of takeAll(core)) core.release(buffer);
    expect([rxQueue.headNow, rxQueue.count]).toEqual([100, 0]);
    const before = core.polls;
    for (let i = 0; i < 1000; i++) core.getRxCount();
    expect(core.polls).toBe(before + 1000);
    // The count is published now and then: no store per poll.
    expect(polls()).toBeGreaterThan(900);
    expect(polls()).toBeLessThanOrEqual(core.polls);
  });
});

describe('the warning about a core on the same thread', () => {
  function watchedCore() {
    const t = makeCore();
    const lines: string[] = [];
    const watch = new OwnThreadWatch('core 0', t.core, (line) => lines.push(line));
    const pass = looker(watch);
    pass(LOOK_MS);
    const inject = (): void => void t.device.inject(ethernet(ipv4([1])));
    return { ...t, lines, pass, watch, inject };
  }

  it('comes once after a second, and once when the core polls again', () => {
    const { core, lines, pass, inject } = watchedCore();
    inject();
    pass(750);
    expect(lines).toEqual([]);
    pass(250);
    expect(lines).toEqual(['core 0: the stack has not polled for 1.0 s, and packets wait for it']);
    pass(2000);
    expect(lines).toHaveLength(1);
    core.getRxCount();
    pass(250);
    expect(lines.slice(1)).toEqual(['core 0: the stack polls again, after 3.3 s']);
  });

  it('does not come if nothing waits or the core sleeps: its interrupt stays as it was', async () => {
    const { core, device, lines, pass } = watchedCore();
    pass(5000);
    expect(device.interruptsOn).toBe(false);
    const waiting = core.waitForPackets();
    expect(device.interruptsOn).toBe(true);
    pass(5000);
    expect(device.interruptsOn).toBe(true);
    core.wake();
    await waiting;
    expect(lines).toEqual([]);
  });

  it('comes afterwards for a core that blocked its thread while packets came', () => {
    const { core, lines, watch, inject } = watchedCore();
    watch.look(10_500);
    inject();
    // Nobody looked for three seconds: the thread was busy.
    watch.look(13_750);
    expect(lines).toEqual([]);
    core.getRxCount();
    watch.look(14_000);
    expect(lines).toEqual(['core 0: the stack did not poll for 3.0 s: its thread was blocked']);
    watch.look(14_250);
    expect(lines).toHaveLength(1);
  });

  it('does not come for a core that blocked its thread while nothing came', () => {
    const { core, lines, watch } = watchedCore();
    watch.look(20_000);
    core.getRxCount();
    watch.look(20_250);
    watch.look(20_500);
    expect(lines).toEqual([]);
  });
});

describe('the looks', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('come four times per second, until they are ended', () => {
    vi.useFakeTimers();
    let looks = 0;
    const end = watchEvery([{ look: () => looks++ }]);
    vi.advanceTimersByTime(1000);
    expect(looks).toBe(4);
    end();
    vi.advanceTimersByTime(1000);
    expect(looks).toBe(4);
  });

  it('are those of a port: it emits a warning about what they find, until it stops', async () => {
    vi.useFakeTimers();
    const device = new FakeDevice();
    const lines: string[] = [];
    const port = await init(
      { device: 'vhost-user:/tmp/x.sock', ip: `${OUR_IP}/24` },
      { openDevice: async () => device },
    );
    port.on('warning', (line) => lines.push(line));
    device.inject(ethernet(ipv4([1])));
    vi.advanceTimersByTime(3000);
    expect(lines).toEqual([expect.stringMatching(/^core 0: the stack has not polled for 1\.\d s, and packets wait/)]);
    await port.stop();
    vi.advanceTimersByTime(3000);
    expect(lines).toHaveLength(1);
  });
});
