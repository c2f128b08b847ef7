import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Sink } from '../../../bess/modules/merge-sink.js';
import { PortInc } from '../../../bess/modules/port-inc.js';
import { QueueOut } from '../../../bess/modules/port-out.js';
import { Worker } from '../../../bess/worker.js';
import { fakePort, frame } from '../../support/bess/fake-port.js';

const MAC = '52:54:00:00:00:01';
let worker: Worker | null = null;

afterEach(() => worker?.stop());

/** Forwards from one port to another, with a worker. */
function wire(policy: 'adaptive' | 'spin', onError: (error: unknown) => void = () => undefined) {
  const a = fakePort('a');
  const b = fakePort('b');
  const input = new PortInc('in', a.port);
  input.connect(0, new QueueOut('out', b.port, 0), 0);
  worker = new Worker(input.tasks, policy, onError);
  return { a, b, input, worker };
}

/** Waits for a state. The timeout of the test ends the wait if the state never comes. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

describe('Worker', () => {
  it('delivers what waits, then arms the kicks and sleeps until one comes', async () => {
    const { a, b, worker } = wire('adaptive');
    a.queue.offer(...Array.from({ length: 100 }, (_, i) => frame(MAC, i)));
    worker.start();
    await until(() => !worker.isPolling);
    expect(b.queue.tags.length).toBe(100);
    expect(a.queue.kicksEnabled).toBe(true);
    expect(worker.isAsleep).toBe(true);
    expect(worker.busyMs).toBeGreaterThan(0);
    const { idleMs } = worker;
    a.queue.offer(frame(MAC, 100));
    a.queue.onKick?.();
    expect(worker.isPolling).toBe(true);
    expect(a.queue.kicksEnabled).toBe(false);
    await until(() => b.queue.tags.length === 101);
    await until(() => !worker.isPolling);
    expect(worker.idleMs).toBeGreaterThan(idleMs);
  });

  it('does not sleep if a packet comes while it arms', async () => {
    const { a, b, worker } = wire('adaptive');
    const arm = a.queue.enableKick.bind(a.queue);
    let late = 3;
    a.queue.enableKick = () => {
      if (late > 0) a.queue.offer(frame(MAC, late--));
      return arm();
    };
    worker.start();
    await until(() => !worker.isPolling);
    expect(b.queue.tags).toEqual([3, 2, 1]);
  });

  it('polls a peer that cannot kick', async () => {
    const { a, b, worker } = wire('adaptive');
    a.queue.pollOnly = true;
    worker.start();
    await until(() => !worker.isPolling);
    a.queue.offer(frame(MAC, 1));
    await until(() => b.queue.tags.length === 1);
    worker.stop();
  });

  it('with spin never arms nor sleeps, but lets the event loop run', async () => {
    const { a, b, worker } = wire('spin');
    worker.start();
    await delay(5);
    expect(worker.isPolling).toBe(true);
    expect(a.queue.kicksEnabled).toBe(false);
    a.queue.offer(frame(MAC, 1));
    await until(() => b.queue.tags.length === 1);
  });

  it('runs no task after stop, and lets the devices go', async () => {
    const { a, b, worker } = wire('spin');
    worker.start();
    await nextTurn();
    worker.stop();
    a.queue.offer(frame(MAC, 1));
    await delay(3);
    expect(b.queue.tags).toEqual([]);
    expect(a.queue.onKick).toBeNull();
  });

  it('stops and reports when a task throws', async () => {
    const errors: unknown[] = [];
    const { a, worker } = wire('adaptive', (error) => errors.push(error));
    a.queue.take = () => {
      throw new Error('broken queue');
    };
    worker.start();
    await until(() => errors.length > 0);
    expect(errors).toEqual([new Error('broken queue')]);
    expect(worker.isPolling).toBe(false);
  });

  it('polls tasks in turn', async () => {
    const order: number[] = [];
    const tasks = [0, 1, 2].map((i) => ({ source: null, run: () => (order.length < 9 ? order.push(i) : 0) }));
    worker = new Worker(tasks, 'spin', () => undefined);
    worker.start();
    await until(() => order.length >= 9);
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
    expect(new Sink('unused').tasks).toEqual([]);
  });
});
