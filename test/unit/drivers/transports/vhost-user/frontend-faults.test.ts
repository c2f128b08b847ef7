/** The vhost-user frontend with a backend that refuses, errs, is silent or hangs up, at each step. */
import { describe, expect, it, vi } from 'vitest';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { until } from '../../../../support/until.js';
import { useFrontend } from '../../../../support/vhost-user/frontend-suite.js';

const R = p.VhostUserRequest;
const VERSION_1 = f.VIRTIO_F_VERSION_1;
const WITH_PROTOCOL = VERSION_1 | f.VHOST_USER_F_PROTOCOL_FEATURES;
const ALL_PROTOCOL = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_CONFIG | p.PROTOCOL_F_STATUS;
const OPTIONS = { queueSize: 8, buffers: 32, hugepages: 'never' } as const;

/** Only these timers are faked: waiting for the backend needs the others. */
const TIMEOUTS = { toFake: ['setTimeout', 'clearTimeout'] } satisfies Parameters<typeof vi.useFakeTimers>[0];

const t = useFrontend();

describe('a backend that refuses, errs or is silent', () => {
  const acknowledged = [
    'SET_STATUS',
    'SET_FEATURES',
    'SET_MEM_TABLE',
    'SET_VRING_NUM',
    'SET_VRING_BASE',
    'SET_VRING_ADDR',
    'SET_VRING_CALL',
    'SET_VRING_KICK',
    'SET_VRING_ENABLE',
  ] as const;

  it.each(acknowledged)('that refuses %s: request and result are named', async (name) => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    t.backend.refuses.set(R[name], 1n);
    await expect(t.start()).rejects.toThrow(`vhost-user:${t.backend.path}: the backend refuses ${name} (1)`);
  });

  it('that does not keep FEATURES_OK: the device reads that from the status', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    await t.frontend.connect(t.memory, t.events);
    await t.frontend.setStatus(11);
    t.backend.status = 3n;
    expect(await t.frontend.getStatus()).toBe(3);
  });

  it.each([
    ['GET_FEATURES', R.GET_QUEUE_NUM, 'GET_QUEUE_NUM came from the backend, but the answer to GET_FEATURES was due'],
    ['SET_FEATURES', R.SET_OWNER, 'SET_OWNER came from the backend, but the answer to SET_FEATURES was due'],
    ['SET_FEATURES', 99, 'request 99 came from the backend, but the answer to SET_FEATURES was due'],
  ] as const)(
    'that answers %s with request %d: the connection ends, and one line names both',
    async (name, id, reason) => {
      t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
      t.backend.mistakes.set(R[name], id);
      await expect(t.start()).rejects.toThrow(`the backend hung up (${reason})`);
      expect(t.told).toEqual([`vhost-user:${t.backend.path}: the backend hung up (${reason})`]);
    },
  );

  it('that sends a message unasked: the connection ends', async () => {
    t.offer(VERSION_1);
    await t.start();
    await until('all messages are there', () => t.backend.received.length === 14);
    t.backend.channel?.send(R.GET_FEATURES, p.FLAG_REPLY, p.encodeU64(0n));
    await until('the loss is told', () => t.told.length > 0);
    expect(t.told).toEqual([expect.stringContaining('GET_FEATURES came from the backend, but nothing was due')]);
  });

  it('that answers with a request, without the reply flag: the connection ends', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    t.backend.ignores.add(R.GET_FEATURES);
    const starting = t.start();
    await until('the features are asked for', () => t.backend.names().includes('GET_FEATURES'));
    t.backend.channel?.send(R.GET_FEATURES, 0, p.encodeU64(0n));
    await expect(starting).rejects.toThrow('but the answer to GET_FEATURES was due');
  });

  it.each([
    ['of the wrong size', p.FLAG_REPLY | 1, Buffer.alloc(4), 'GET_FEATURES: payload of 4 bytes, expected 8'],
    ['empty', p.FLAG_REPLY, null, 'GET_FEATURES: payload of 0 bytes, expected 8'],
  ])('whose answer is %s: the fault is named', async (_, flags, payload, reason) => {
    t.backend.ignores.add(R.GET_FEATURES);
    const starting = t.start();
    await until('the features are asked for', () => t.backend.names().includes('GET_FEATURES'));
    t.backend.channel?.send(R.GET_FEATURES, flags, payload);
    await expect(starting).rejects.toThrow(reason);
  });

  it.each(['GET_FEATURES', 'SET_STATUS', 'SET_MEM_TABLE'] as const)(
    'that does not answer %s: an error after 5 s',
    async (name) => {
      vi.useFakeTimers(TIMEOUTS);
      t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
      t.backend.ignores.add(R[name]);
      const starting = t.start();
      const outcome = expect(starting).rejects.toThrow(`the backend did not answer ${name} within 5 s`);
      await until('the request is there', () => t.backend.names().includes(name));
      await vi.advanceTimersByTimeAsync(4999);
      expect(vi.getTimerCount()).toBe(1);
      await vi.advanceTimersByTimeAsync(1);
      await outcome;
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('that does not stop its rings: closing ends all the same', async () => {
    vi.useFakeTimers(TIMEOUTS);
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    await t.start();
    t.backend.ignores.add(R.GET_VRING_BASE);
    const closing = t.frontend.close();
    await until('the request is there', () => t.backend.names().includes('GET_VRING_BASE'));
    await vi.advanceTimersByTimeAsync(500);
    await closing;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a backend that hangs up', () => {
  const steps = [
    'SET_OWNER',
    'GET_FEATURES',
    'GET_PROTOCOL_FEATURES',
    'SET_PROTOCOL_FEATURES',
    'SET_STATUS',
    'SET_FEATURES',
    'GET_STATUS',
    'SET_MEM_TABLE',
    'SET_VRING_NUM',
    'SET_VRING_ADDR',
    'SET_VRING_CALL',
    'SET_VRING_KICK',
    'SET_VRING_ENABLE',
  ] as const;

  it.each(steps)('on %s: one clear line, and nothing is left', async (name) => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    t.backend.hangsUpOn.add(R[name]);
    await expect(t.start()).rejects.toThrow(/^vhost-user:.*(the backend hung up|sendmsg|is not connected)/);
    await t.frontend.close();
    // A later call is refused as well.
    await expect(t.frontend.readConfig(0, 1)).rejects.toThrow(/is not connected/);
  });

  it.each(steps)('on %s while a device is opened: it is not opened, and there is no new attempt', async (name) => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    t.backend.hangsUpOn.add(R[name]);
    await expect(VirtioNetDevice.open(t.frontend, OPTIONS)).rejects.toThrow(/^vhost-user:/);
    t.backend.hangsUpOn.clear();
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(t.backend.connections).toBe(1);
  });

  it('while the rings run: the device is told once; the next connection starts anew', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    await t.start();
    t.backend.hangUp();
    await until('the loss is told', () => t.told.length > 0);
    expect(t.told).toEqual([`vhost-user:${t.backend.path}: the backend hung up (closed)`]);
    await t.frontend.close();
    t.backend.clear();
    await t.start();
    expect(t.backend.connections).toBe(2);
    expect(t.backend.names()[0]).toBe('SET_OWNER');
  });

  it('and comes back: the device does, too', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    const device = await VirtioNetDevice.open(t.frontend, OPTIONS);
    const lines: string[] = [];
    device.onLink = (state) => lines.push(state);
    t.backend.hangUp();
    await until('the device is back', () => lines.includes('up'));
    expect(lines).toEqual(['down', 'up']);
    expect(device.pool.available).toBe(32 - 8);
    await device.close();
    await device.close();
  });
});
