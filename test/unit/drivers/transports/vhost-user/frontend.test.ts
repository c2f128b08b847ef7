/**
 * The vhost-user frontend with a scripted backend on a real socket: the messages that it sends, their order and
 * content, and the errors for sockets that cannot be used. vhost-user-frontend-faults.test.ts has the faults of a
 * backend.
 */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { abi, closeFile, closeInPlace, listenUnix, Reactor, signalEventfd } from '../../../../../drivers/libc/index.js';
import { MemoryWindow } from '../../../../../drivers/memory/index.js';
import { VhostUserFrontend } from '../../../../../drivers/transports/vhost-user/frontend.js';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import * as f from '../../../../../drivers/virtio/features.js';
import type { QueueLayout } from '../../../../../drivers/virtio/transport.js';
import { until } from '../../../../support/until.js';
import { useFrontend } from '../../../../support/vhost-user/frontend-suite.js';

const R = p.VhostUserRequest;
const VERSION_1 = f.VIRTIO_F_VERSION_1;
const WITH_PROTOCOL = VERSION_1 | f.VHOST_USER_F_PROTOCOL_FEATURES;
const ALL_PROTOCOL = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_CONFIG | p.PROTOCOL_F_STATUS;

const t = useFrontend();

const VRING = ['SET_VRING_NUM', 'SET_VRING_BASE', 'SET_VRING_ADDR', 'SET_VRING_CALL', 'SET_VRING_KICK'];

describe('the messages', () => {
  it('to a backend without protocol features: the least that starts the rings', async () => {
    t.offer(VERSION_1);
    await t.start();
    await until('all messages are there', () => t.backend.received.length === 14);
    expect(t.backend.names()).toEqual([
      'SET_OWNER',
      'GET_FEATURES',
      'SET_FEATURES',
      'SET_MEM_TABLE',
      ...VRING,
      ...VRING,
    ]);
    expect(t.backend.received.every(({ needReply }) => !needReply)).toBe(true);
    expect(t.frontend.hasConfig).toBe(false);
  });

  it('to a backend with all of them: acknowledged, with status, rings enabled last', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL | p.PROTOCOL_F_MQ | (1n << 63n));
    await t.start();
    expect(t.backend.names()).toEqual([
      'SET_OWNER',
      'GET_FEATURES',
      'GET_PROTOCOL_FEATURES',
      'SET_PROTOCOL_FEATURES',
      'SET_STATUS',
      'SET_STATUS',
      'SET_FEATURES',
      'SET_STATUS',
      'GET_STATUS',
      'SET_MEM_TABLE',
      ...VRING,
      ...VRING,
      'SET_STATUS',
      'SET_VRING_ENABLE',
      'SET_VRING_ENABLE',
    ]);
    expect(t.backend.message('SET_PROTOCOL_FEATURES').payload.readBigUInt64LE()).toBe(ALL_PROTOCOL);
    // QEMU, vhost-user.rst: REPLY_ACK holds after it was negotiated, and not for requests that have a reply of their
    // own.
    const asked = t.backend.received.filter(({ needReply }) => needReply).map(({ name }) => name);
    expect(asked).toEqual(
      t.backend
        .names()
        .slice(4)
        .filter((name) => !name.startsWith('GET_')),
    );
    expect(t.frontend.hasConfig).toBe(true);
  });

  it('to one with PROTOCOL_FEATURES but none of them: SET_VRING_ENABLE nevertheless', async () => {
    t.offer(WITH_PROTOCOL);
    await t.start();
    await until('the rings are enabled', () => t.backend.names().at(-1) === 'SET_VRING_ENABLE');
    expect(t.backend.names().filter((name) => name === 'SET_VRING_ENABLE')).toHaveLength(2);
    expect(t.backend.names()).not.toContain('SET_STATUS');
    expect(t.backend.message('SET_VRING_ENABLE', 1).payload.toString('hex')).toBe('0100000001000000');
  });

  it('carry the memory, the rings in it, and descriptors that work', async () => {
    t.offer(WITH_PROTOCOL, p.PROTOCOL_F_REPLY_ACK);
    await t.start();
    expect(t.backend.message('SET_FEATURES').payload.readBigUInt64LE()).toBe(WITH_PROTOCOL);
    const table = t.backend.message('SET_MEM_TABLE');
    const [region, ...more] = p.decodeMemoryTable(table.payload, 'SET_MEM_TABLE');
    expect(more).toEqual([]);
    expect(region).toMatchObject({
      size: BigInt(t.memory.size),
      userAddress: BigInt(t.memory.address),
      mmapOffset: 0n,
    });
    expect(Number(region?.guestAddress)).toBe(t.frontend.addressSpace().iova(0));
    const peer = MemoryWindow.reserve(t.memory.size);
    peer.mapFile(0, t.memory.size, table.fds[0] as number, 0, 'the frontend`s memory');
    t.memory.u32[1000] = 0x1234;
    expect(peer.u32[1000]).toBe(0x1234);

    for (const [index, layout] of t.layouts.entries()) {
      expect(p.decodeVringState(t.backend.message('SET_VRING_NUM', index).payload, '')).toEqual({
        index,
        num: layout.size,
      });
      expect(p.decodeVringState(t.backend.message('SET_VRING_BASE', index).payload, '')).toEqual({ index, num: 0 });
      const address = (offset: number): bigint => BigInt(t.memory.address + offset);
      expect(p.decodeVringAddress(t.backend.message('SET_VRING_ADDR', index).payload, '')).toEqual({
        index,
        flags: 0,
        descriptor: address(layout.descriptors),
        available: address(layout.driver),
        used: address(layout.device),
        log: 0n,
      });
      for (const name of ['SET_VRING_CALL', 'SET_VRING_KICK']) {
        const { payload, fds } = t.backend.message(name, index);
        expect(p.decodeVringFd(payload, '')).toEqual({ index, hasFd: true });
        expect(fds).toHaveLength(1);
      }
      signalEventfd(t.backend.message('SET_VRING_CALL', index).fds[0] as number);
      await until('the interrupt is told', () => t.told.includes(`interrupt ${index}`));
    }
    expect(t.told).toEqual(['interrupt 0', 'interrupt 1']);
  });

  it('ring the kick descriptor of the backend by a doorbell', async () => {
    t.offer(VERSION_1);
    await t.frontend.connect(t.memory, t.events);
    const doorbell = await t.frontend.setupQueue(0, t.layouts[0] as QueueLayout);
    await until('the kick descriptor is there', () => t.backend.names().includes('SET_VRING_KICK'));
    const reactor = new Reactor();
    let kicks = 0;
    reactor.watch(
      t.backend.message('SET_VRING_KICK').fds[0] as number,
      (abi.EPOLLIN | abi.EPOLLET) >>> 0,
      () => kicks++,
    );
    doorbell.ring(0);
    await until('the kick arrives', () => kicks === 1);
    reactor.close();
  });

  it('stop each ring and wait for it before the connection is closed', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    await t.start();
    t.backend.clear();
    await t.frontend.close();
    expect(t.backend.names()).toEqual(['GET_VRING_BASE', 'GET_VRING_BASE']);
    await until('the backend sees the end', () => t.backend.channel === null);
    expect(t.told).toEqual([]);
  });

  it('read the configuration, and report when the backend refuses that', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    await t.frontend.connect(t.memory, t.events);
    expect([...(await t.frontend.readConfig(0, 6))]).toEqual([0x52, 0x54, 0, 1, 2, 3]);
    expect([...(await t.frontend.readConfig(10, 2))]).toEqual([0xdc, 0x05]);
    expect(t.backend.message('GET_CONFIG', 1).payload.toString('hex')).toBe('0a00000002000000000000000000');
    t.backend.refuses.set(R.GET_CONFIG, 1n);
    await expect(t.frontend.readConfig(6, 2)).rejects.toThrow('GET_CONFIG of 2 bytes at 6 was refused by the backend');
  });

  it('begin anew on each connection: nothing of the last one is taken for granted', async () => {
    t.offer(WITH_PROTOCOL, ALL_PROTOCOL);
    await t.start();
    await t.frontend.close();
    t.backend.clear();
    t.offer(VERSION_1);
    await t.start();
    await until('all messages are there', () => t.backend.received.length === 14);
    expect(t.backend.received.filter(({ needReply }) => needReply)).toEqual([]);
    expect(t.frontend.hasConfig).toBe(false);
    expect(t.backend.names()).not.toContain('SET_STATUS');
  });
});

describe('a socket that cannot be used', () => {
  const connectTo = (path: string): Promise<void> =>
    new VhostUserFrontend(path, { closer: closeInPlace }).connect(t.memory, t.events);

  it('that is absent', async () => {
    const path = `${t.directory.path}/none`;
    await expect(connectTo(path)).rejects.toThrow(
      `vhost-user:${path}: there is no such socket: start the switch or backend that creates it first (ENOENT)`,
    );
  });

  it('that a backend has left behind', async () => {
    const path = `${t.directory.path}/stale`;
    closeFile(listenUnix(path));
    await expect(connectTo(path)).rejects.toThrow(
      `vhost-user:${path}: nobody listens on this socket: it was left behind by a backend that is gone; start one (ECONNREFUSED)`,
    );
  });

  it('that is a file or a directory', async () => {
    const path = `${t.directory.path}/file`;
    writeFileSync(path, '');
    for (const other of [path, t.directory.path]) {
      await expect(connectTo(other)).rejects.toThrow(`vhost-user:${other}: this is not a socket`);
    }
    await expect(connectTo(`${path}/s`)).rejects.toThrow(`vhost-user:${path}/s: there is no such socket: part of its`);
  });

  it('whose path is too long, or empty', async () => {
    for (const path of ['/'.repeat(200), '']) {
      await expect(connectTo(path)).rejects.toThrow(
        `vhost-user:${path}: socket path '${path}' has ${path.length} bytes`,
      );
    }
  });

  it('whose backend takes no more connections', async () => {
    const path = `${t.directory.path}/busy`;
    const listener = listenUnix(path, 0);
    const waiting = new VhostUserFrontend(path, { closer: closeInPlace });
    const pending = waiting.connect(t.memory, t.events).catch((error: Error) => error.message);
    await expect(connectTo(path)).rejects.toThrow('the backend takes no further connection');
    await waiting.close();
    expect(await pending).toContain('closed');
    closeFile(listener);
  });

  it('names no code twice, and is one line', async () => {
    for (const path of [`${t.directory.path}/none`, 'y'.repeat(300), `${t.directory.path}/${'z'.repeat(60)}/s`]) {
      const message = await connectTo(path).catch((error: Error) => error.message);
      expect(message).not.toMatch(/\((E[A-Z]+)\).*\(\1\)|\n/);
    }
  });
});
