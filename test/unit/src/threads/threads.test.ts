/** Ports with one thread per core: how they start, fail and stop, with real threads over our own backend. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE_APPS } from '../../../../src/load-app.js';
import { ALL_MODES } from '../../../support/threads/modes.js';
import { type Fault, PortLab, resources, untilFreed } from '../../../support/threads/port-lab.js';
import { until } from '../../../support/until.js';

/** Per mode. Each cycle counts what is left. */
const CYCLES = process.env.TSPMD_LONG === undefined ? 15 : 100;

let before: ReturnType<typeof resources>;
let lab: PortLab;

beforeEach(async () => {
  before = resources();
  lab = new PortLab();
  lab.listen();
});

afterEach(async () => {
  await lab.close();
  await untilFreed(before);
});

describe.each(['1kb', '2kb'] as const)('%s', (mode) => {
  const cores = mode === '1kb' ? 3 : 2;

  it.each(['off', 'auto'] as const)('offloads %s: answers every flow, on all cores; all adds up', async (offloads) => {
    const port = await lab.open({ mode, offloads });
    expect(port.offloads !== 0).toBe(offloads === 'auto');
    const stop = new AbortController();
    const running = port.run(stop.signal);
    await lab.introduce();
    for (let round = 0; round < 20; round++) await lab.everyFlowAnswers();
    const answers = (): number => lab.echoes.reduce((a, b) => a + b);
    await until('all that was asked is answered', () => answers() === lab.sent, lab.receive);
    expect(port.status().cores).toHaveLength(cores);
    for (const core of port.status().cores) expect(core.counters.rx_delivered).toBeGreaterThan(0);
    const live = await port.totals();
    expect(live.reduce((sum, core) => sum + core!.udp_echoes!, 0)).toBe(lab.sent);
    stop.abort();
    const totals = await running;
    const echoes = totals.map((core) => core!.udp_echoes!);
    for (const own of echoes) expect(own).toBeGreaterThan(0);
    expect(echoes.reduce((a, b) => a + b)).toBe(lab.sent);
    const counters = port.counters();
    expect(counters.rx_delivered).toBe(lab.sent);
    expect(counters.rx_frames).toBe(lab.sent + counters.rx_arp!);
    expect(counters.rx_packets).toBe(counters.rx_frames);
    expect(counters.tx_packets).toBe(counters.tx_queued! + counters.arp_answered! + counters.arp_announcements!);
    expect(lab.warnings.join()).toMatch(/^cores 90, 91, 92, 93: this machine has CPUs 0/);
  });

  it('has the counters of the device at hand while all its threads sleep', async () => {
    const port = await lab.open({ mode });
    await lab.introduce();
    await lab.everyFlowAnswers();
    // The layer counts a frame in another thread, before the device counts the packet: for a moment the two differ.
    const all = (): boolean => {
      const { rx_packets, tx_packets, rx_frames } = port.counters();
      return rx_packets! >= 65 && tx_packets! >= 66 && rx_packets === rx_frames;
    };
    await until('the counters are there, and agree', all, lab.receive);
  });

  it('survives that the peer goes and comes back', async () => {
    const port = await lab.open({ mode });
    await lab.introduce();
    await lab.everyFlowAnswers();
    lab.hangUp();
    await until('the link is down', () => lab.links.includes('down'));
    lab.listen();
    await until('the link is up', () => lab.links.includes('up'), lab.receive);
    await lab.everyFlowAnswers();
    expect(lab.links).toEqual(['down', 'up']);
    expect(port.counters().reconnects).toBe(1);
  });

  it.each<[Fault, string]>([
    ['poll', 'out of sockets'],
    ['leftovers', 'out of sockets'],
    ['promise', 'the poll() of a stack must return how many packets it handled, at once'],
    ['timer', 'out of sockets'],
    ['rejection', 'out of sockets'],
    ['exit', 'its thread has ended (exit code 3)'],
    ['run', 'out of sockets'],
  ])('a stack that fails (%s) costs only its core: the others take over its flows', async (fault, message) => {
    const port = await lab.open({ mode, app: lab.stack(fault) });
    const stop = new AbortController();
    const running = port.run(stop.signal);
    await lab.introduce();
    await lab.everyFlowAnswers();
    await lab.fault(1, fault === 'run');
    await until('the core has failed', () => lab.failures.length > 0, lab.receive);
    expect(lab.failures).toEqual([`1: core 1: ${message}`]);
    expect(port.status().cores.map(({ isAlive }) => isAlive)).toEqual(
      mode === '1kb' ? [true, false, true] : [true, false],
    );
    for (let round = 0; round < 5; round++) await lab.everyFlowAnswers();
    stop.abort();
    const totals = await running;
    expect(totals.map((own) => own === undefined)).toEqual(mode === '1kb' ? [false, true, false] : [false, true]);
  });

  it('stops as a whole if it is told to', async () => {
    const port = await lab.open({ mode, app: lab.stack('poll'), onCoreFailure: 'stop' });
    const running = port.run(new AbortController().signal);
    // Before the fault, as the port may be over when it is reported: every rejection needs a handler.
    const ended = expect(running).rejects.toThrow('core 1: out of sockets');
    await lab.fault(1);
    await ended;
    expect(lab.failures).toEqual([]);
  });

  it('ends with its last core', async () => {
    const port = await lab.open({ mode, app: lab.stack('poll') });
    const running = port.run(new AbortController().signal);
    const ended = expect(running).rejects.toThrow(`core ${cores - 1}: out of sockets`);
    for (let core = 0; core < cores; core++) {
      await lab.fault(core);
      await until('the core has failed', () => port.status().cores[core]!.isAlive === false, lab.receive);
    }
    await ended;
    expect(lab.failures).toHaveLength(cores - 1);
  });

  it('reports a failure to a caller who runs it later', async () => {
    const port = await lab.open({ mode, app: lab.stack('poll'), onCoreFailure: 'stop' });
    await lab.fault(0);
    await until('the core has failed', () => port.status().cores[0]!.isAlive === false, lab.receive);
    await expect(port.run(new AbortController().signal)).rejects.toThrow('core 0: out of sockets');
  });

  it('ends a core that never returns, and says so; the others still report', async () => {
    const port = await lab.open({ mode, app: lab.stack('hang') });
    const stop = new AbortController();
    const running = port.run(stop.signal);
    await lab.introduce();
    await lab.everyFlowAnswers();
    // The answer to a request that was repeated may be under way.
    const answers = (): number => lab.echoes.reduce((a, b) => a + b);
    await until('all that was asked is answered', () => answers() === lab.sent, lab.receive);
    const mine = lab.flowsOf(0, cores);
    const others = [...lab.echoes.keys()].filter((flow) => !mine.includes(flow));
    await lab.fault(0);
    // While the core stands still, its queue fills, and the other cores go on.
    const before = lab.echoes.slice();
    for (let round = 1; round <= 30; round++) {
      for (let flow = 0; flow < 64; flow++) lab.sendTo(flow);
      const areAnswered = (): boolean => others.every((flow) => lab.echoes[flow]! >= before[flow]! + round);
      await until('the others answer', areAnswered, lab.receive);
    }
    for (const flow of mine) expect(lab.echoes[flow]).toBe(before[flow]);
    const isTold = (): boolean =>
      lab.warnings.some((line) => line.startsWith('core 0: the stack has not polled for 1'));
    await until('it is told of', isTold, lab.receive);
    const { counters, rings } = port.status().cores[0]!;
    expect(rings!.rx_queue.count).toBe(Math.min(rings!.rx_queue.capacity, 30 * mine.length));
    const came = counters.rx_delivered! + counters.rx_drop_queue_full! + counters.rx_drop_core_share!;
    expect(came).toBe(mine.reduce((sum, flow) => sum + lab.requests[flow]!, 0));
    stop.abort();
    await expect(running).rejects.toThrow('core 0: has not ended within 2 s; its thread was terminated');
  });

  it('reports a stack that drives itself and does not return', async () => {
    const port = await lab.open({ mode, app: lab.stack('endless') });
    Atomics.store(lab.flags, 0, 1);
    const running = port.run(AbortSignal.abort());
    await expect(running).rejects.toThrow('core 0: the run() of the stack has not returned 1500 ms after its signal');
  });

  it('reports a stack that fails at once, whenever that is noticed', async () => {
    Atomics.store(lab.flags, 1, 1);
    const error = await lab.open({ mode, app: lab.stack('poll') }).then(
      () =>
        until('somebody is told', () => [...lab.warnings, ...lab.failures].some((line) => line.includes('sockets'))),
      (reason: Error) => reason,
    );
    if (error instanceof Error) expect(error.message).toBe('core 1: out of sockets');
    else expect([...lab.warnings, ...lab.failures].join()).toContain('core 1: out of sockets');
  });

  it('rejects with what a stack throws when it is stopped', async () => {
    const port = await lab.open({ mode, app: lab.stack('stop') });
    const running = port.run(AbortSignal.abort());
    await expect(running).rejects.toThrow('core 1: cannot stop');
  });

  it.each<[Fault, string]>([
    ['create', 'core 1: cannot start'],
    ['import', 'cannot be imported: no licence on this thread'],
  ])('does not start if a stack cannot (%s)', async (fault, message) => {
    const error = await lab.open({ mode, app: lab.stack(fault) }).catch((reason: Error) => reason);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain('\n');
  });

  it('does not start without a device', async () => {
    lab.hangUp();
    const error = await lab.open({ mode }).catch((reason: Error) => reason);
    expect((error as Error).message).toContain(`vhost-user:${lab.socket}`);
    expect((error as Error).message).not.toContain('\n');
  });

  it.each([
    ['absent.mjs', 'there is no such file'],
    ['nonsense', `app 'nonsense': neither one of ${SAMPLE_APPS.join(', ')} nor a file`],
  ])('does not open the device for an app that does not exist (%s)', async (name, message) => {
    const app = name === 'nonsense' ? name : `${lab.directory.path}/${name}`;
    await expect(lab.open({ mode, app })).rejects.toThrow(message);
  });

  it('answers every flow with threads that never sleep', async () => {
    const port = await lab.open({ mode, idle: 'spin' });
    await lab.introduce();
    for (let round = 0; round < 3; round++) await lab.everyFlowAnswers();
    for (const core of port.status().cores) expect(core.counters.rx_delivered).toBeGreaterThan(0);
  });

  it('loses nothing while the indirection table is changed', async () => {
    const port = await lab.open({ mode });
    await lab.introduce();
    const answers = (): number => lab.echoes.reduce((a, b) => a + b);
    for (let round = 0; round < 40; round++) {
      for (let flow = 0; flow < 64; flow++) {
        lab.sendTo(flow);
        // Between the packets of a round, so that both cores have packets of a flow.
        if (flow % 16 === 0) port.indirection.set(port.indirection.get().map((core) => (core + 1) % cores));
      }
      await until('the round is answered', () => answers() === lab.sent, lab.receive);
    }
    expect(port.counters().rx_delivered).toBe(lab.sent);
    expect(answers()).toBe(lab.sent);
    for (const core of port.status().cores) expect(core.counters.rx_delivered).toBeGreaterThan(lab.sent / cores / 2);
  });
});

it.each(ALL_MODES)(
  `leaves nothing behind in mode %s: started and stopped ${CYCLES} times`,
  { timeout: 120_000 },
  async (mode) => {
    const cores = mode === 'single' ? [0] : [90, 91, 92, 93];
    // The first cycle may leave what the process keeps (the thread pool, loaded code).
    await (await lab.open({ mode, cores, app: lab.stack('none') })).stop();
    const first = resources();
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      const port = await lab.open({ mode, cores, app: lab.stack('none') });
      const stop = new AbortController();
      const running = port.run(stop.signal);
      await lab.introduce();
      lab.sendTo(cycle % 64);
      stop.abort();
      await running;
      await port.stop();
      await untilFreed(first);
    }
  },
);
