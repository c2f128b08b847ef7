/** Sleeping with several cores: what wakes a core, and what wakes the threads that poll the device. */
import { describe, expect, it } from 'vitest';
import { createL2Counters } from '../../../../src/counters.js';
import { FakeDevice } from '../../../../src/testing/fake-device.js';
import { type Work, WorkerLoop } from '../../../../src/threads/loops/worker-loop.js';
import { planBuffers } from '../../../../src/threads/shared/buffer-plan.js';
import { DoorbellWake } from '../../../../src/threads/shared/doorbell-wake.js';
import { Interconnect } from '../../../../src/threads/shared/interconnect.js';
import { flowPacket } from '../../../support/link/frames.js';
import { SteppedPort, takeAll } from '../../../support/threads/stepped-port.js';

const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
};

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  await turns();
  return settled;
}

describe('a core that sleeps', () => {
  it('wakes for a packet, and for nothing that belongs to another core', async () => {
    const port = new SteppedPort({ stackCores: 2 });
    port.indirection.set(new Array(128).fill(1));
    const waits = port.cores.map((core) => core.waitForPackets());
    await turns();
    for (let n = 0; n < 3; n++) port.device.inject(flowPacket(1024, n));
    port.settle();
    expect(await waits[1]).toBe(3);
    expect(await isSettled(waits[0]!)).toBe(false);
    port.cores[0]!.wake();
    expect(await waits[0]).toBe(0);
  });

  it('does not sleep if a packet came while it went to sleep', async () => {
    const port = new SteppedPort({ stackCores: 1 });
    const [core] = port.cores;
    const { waitAsync } = Atomics;
    Atomics.waitAsync = ((words: Int32Array, at: number, value: number) => {
      port.device.inject(flowPacket(1024, 1));
      port.settle();
      return waitAsync(words, at, value);
    }) as typeof waitAsync;
    try {
      expect(await core!.waitForPackets()).toBeGreaterThan(0);
    } finally {
      Atomics.waitAsync = waitAsync;
    }
  });

  it('wakes when the link goes and when it comes, and at the end', async () => {
    const port = new SteppedPort({ stackCores: 1 });
    const [core] = port.cores;
    for (const isUp of [false, true]) {
      const waiting = core!.waitForPackets();
      await turns();
      port.interconnect.isLinkUp = isUp;
      port.interconnect.coreDoorbell(0).ring();
      expect(await waiting).toBe(0);
    }
    const waiting = core!.waitForPackets();
    core!.close();
    expect(await waiting).toBe(0);
    await expect(core!.waitForPackets()).rejects.toThrow('the port was stopped');
  });

  it('does not sleep if the link went while it went to sleep', async () => {
    const port = new SteppedPort({ stackCores: 1 });
    const { store } = Atomics;
    let isFirst = true;
    Atomics.store = ((words: Int32Array, at: number, value: number) => {
      if (isFirst) {
        isFirst = false;
        port.interconnect.isLinkUp = false;
        port.interconnect.coreDoorbell(0).ring();
      }
      return store(words, at, value);
    }) as typeof store;
    try {
      expect(await port.cores[0]!.waitForPackets({ timeoutMs: 60_000 })).toBe(0);
    } finally {
      Atomics.store = store;
    }
  });

  it('gives back what it releases in its sleep, once packets are dropped without it', async () => {
    const port = new SteppedPort({ stackCores: 1 });
    const [core] = port.cores;
    const hoard: ReturnType<typeof takeAll> = [];
    const { rxShare } = port.interconnect.plan;
    for (let n = 0; n < rxShare; n++) {
      port.device.inject(flowPacket(1024, n));
      port.settle();
      hoard.push(...takeAll(core!));
    }
    const waiting = core!.waitForPackets({ timeoutMs: 60_000 });
    await turns();
    for (const buffer of hoard.splice(0, 10)) core!.release(buffer);
    port.device.inject(flowPacket(1024, 1));
    port.settle();
    expect(port.inbound[0]!.snapshot().rx_drop_core_share).toBe(1);
    await turns();
    port.device.inject(flowPacket(1024, 2));
    port.settle();
    expect(await waiting).toBe(1);
  });

  it('sends at once what it is given, and wakes the thread that sends', async () => {
    const port = new SteppedPort({ stackCores: 1, mode: '2kb', neighbours: { '10.0.0.2': '52:54:00:00:00:02' } });
    const listener = port.interconnect.txListener();
    let rings = 0;
    listener.onRing = () => rings++;
    const [core] = port.cores;
    void core!.waitForPackets();
    listener.arm();
    const buffer = core!.getBufferTx()!;
    buffer.bytes.set(flowPacket(1, 1).subarray(14));
    buffer.bytes.set([10, 0, 0, 2], 16);
    buffer.length = 32;
    core!.addBufferToRing(buffer);
    expect(port.tx.hasWork).toBe(true);
    await turns();
    expect(rings).toBe(1);
    core!.wake();
  });

  it('wakes the sender if it has no buffer left: they may have been sent', async () => {
    const port = new SteppedPort({ stackCores: 1, mode: '2kb' });
    const listener = port.interconnect.txListener();
    let rings = 0;
    listener.onRing = () => rings++;
    listener.arm();
    const [core] = port.cores;
    while (core!.getBufferTx() !== null);
    await turns();
    expect(rings).toBe(1);
  });
});

describe('a thread that polls the device', () => {
  function make() {
    const interconnect = Interconnect.create(planBuffers(1, 1024), false);
    const device = new FakeDevice();
    const state = { hasWork: false, polls: 0, rests: 0, found: 0 };
    const source = new DoorbellWake(device, interconnect.rxListener(), () => state.hasWork, device);
    const work: Work = {
      poll: () => {
        state.polls++;
        return state.found;
      },
      tick: () => {},
      nextDeadline: () => Number.POSITIVE_INFINITY,
      beforeSleep: () => void state.rests++,
    };
    const loop = new WorkerLoop('adaptive', work, source, createL2Counters());
    return { interconnect, device, state, source, loop };
  }

  it('may sleep only if neither the device nor a core has anything for it', () => {
    const { device, state, source, interconnect } = make();
    expect(source.enableRxInterrupt()).toBe(true);
    expect(device.interruptsOn).toBe(true);
    source.disableRxInterrupt();
    expect(device.interruptsOn).toBe(false);
    state.hasWork = true;
    expect(source.enableRxInterrupt()).toBe(false);
    expect(device.interruptsOn).toBe(false);
    state.hasWork = false;
    device.inject(flowPacket(1, 1));
    expect(source.enableRxInterrupt()).toBe(false);
    let rings = 0;
    source.onWake = () => rings++;
    interconnect.rxDoorbell().ring();
    expect(rings).toBe(0);
  });

  it.each(['the device', 'a core'])('is woken by %s', async (who) => {
    const { interconnect, device, state, loop } = make();
    const waiting = loop.waitForPackets({ timeoutMs: 60_000 });
    await turns();
    expect(state.rests).toBe(1);
    state.found = 2;
    if (who === 'a core') interconnect.rxDoorbell().ring();
    else device.interrupt();
    expect(await waiting).toBe(2);
    expect(device.interruptsOn).toBe(false);
  });

  it('sleeps until the deadline of its work', async () => {
    const { interconnect, state } = make();
    let isDone = false;
    const device = new FakeDevice();
    const work: Work = {
      poll: () => (isDone ? 1 : 0),
      tick: () => {
        isDone = true;
      },
      nextDeadline: () => (isDone ? Number.POSITIVE_INFINITY : performance.now()),
      beforeSleep: () => {},
    };
    const source = new DoorbellWake(device, interconnect.rxListener(), () => false, device);
    expect(
      await new WorkerLoop('adaptive', work, source, createL2Counters()).waitForPackets({ timeoutMs: 60_000 }),
    ).toBe(1);
    expect(state.polls).toBe(0);
  });
});
