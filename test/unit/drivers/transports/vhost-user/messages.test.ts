/**
 * Messages that the vhost-user backend cannot carry out: it refuses those that want an answer, and ends the connection
 * at others.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closeFile, connectUnix, emptyMemfd, eventfd, memfd } from '../../../../../drivers/libc/index.js';
import { isPlain } from '../../../../../drivers/log/safe-text.js';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { HOSTILE_NAME } from '../../../../support/bess/refused-messages.js';
import { openFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';
import { BackendSuite, MODERN } from '../../../../support/vhost-user/backend-suite.js';
import { FakeFrontend, USER_BASE } from '../../../../support/vhost-user/fake-frontend.js';

const R = p.VhostUserRequest;
const suite = new BackendSuite();

describe('a message that cannot be done', () => {
  const vring = (index: number, num: number): Buffer => p.encodeVringState({ index, num });
  const refused: [string, number, Buffer, RegExp][] = [
    ['features not offered', R.SET_FEATURES, p.encodeU64(1n << 35n), /IN_ORDER not offered/],
    ['protocol features not offered', R.SET_PROTOCOL_FEATURES, p.encodeU64(1n << 12n), /0x1000 not offered/],
    ['a ring of no power of two', R.SET_VRING_NUM, vring(0, 100), /size 100; possible are powers of two/],
    ['a ring of no size', R.SET_VRING_NUM, vring(0, 0), /size 0/],
    ['a base of 17 bits', R.SET_VRING_BASE, vring(0, 65536), /base 65536/],
    ['an MTU below 68', R.NET_SET_MTU, p.encodeU64(0n), /NET_SET_MTU: 0/],
  ];

  it.each(refused)('is refused if it wants an answer: %s', async (_, request, payload, message) => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await suite.frontend.confirm(request, payload)).toBe(false);
    expect(suite.notices).toEqual([expect.stringMatching(message)]);
    expect(await suite.frontend.confirm(R.SET_OWNER)).toBe(true);
  });

  it.each(refused)('ends the connection if it wants no answer: %s', async (_, request, payload, message) => {
    suite.listen();
    suite.connect();
    suite.frontend.tell(request, payload);
    await until('the end', () => suite.frontend.hungUp !== null && !suite.backend.connected);
    expect(suite.links.at(-1)).toMatch(message);
  });

  it.each<[string, number, Buffer | null, number, RegExp]>([
    ['a payload too short', R.SET_VRING_NUM, Buffer.alloc(4), 0, /SET_VRING_NUM: payload of 4 bytes, expected 8/],
    ['a payload where none belongs', R.SET_OWNER, Buffer.alloc(8), 0, /SET_OWNER: payload of 8 bytes, expected 0/],
    ['a ring that does not exist', R.SET_VRING_NUM, vring(2, 256), 0, /ring 2; there are 2/],
    ['a ring of 2^32 - 1', R.GET_VRING_BASE, vring(0xffffffff, 0), 0, /ring 4294967295/],
    ['descriptors where none belong', R.SET_OWNER, null, 1, /SET_OWNER: 1 file descriptors, expected none/],
    ['a kick without its descriptor', R.SET_VRING_KICK, p.encodeVringFd(0, true), 0, /0 file descriptors, expected 1/],
    ['a kick with one too many', R.SET_VRING_KICK, p.encodeVringFd(0, false), 1, /1 file descriptors, expected 0/],
    ['a memory table without files', R.SET_MEM_TABLE, p.encodeMemoryTable([]), 1, /1 file descriptors for 0 regions/],
    ['a memory table cut short', R.SET_MEM_TABLE, Buffer.alloc(4), 0, /SET_MEM_TABLE: payload of 4 bytes/],
  ])('ends the connection in any case if it is malformed: %s', async (_, request, payload, count, message) => {
    suite.listen();
    suite.connect();
    const fds = Array.from({ length: count }, () => eventfd());
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    suite.frontend.tell(request, payload, fds, p.FLAG_NEED_REPLY);
    for (const fd of fds) closeFile(fd);
    await until('the end', () => suite.frontend.hungUp !== null && !suite.backend.connected);
    expect(suite.links.at(-1)).toMatch(message);
  });

  it('is refused if it is unknown and wants an answer, and ignored if it wants none', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await suite.frontend.confirm(99)).toBe(false);
    expect(await suite.frontend.confirm(R.SET_LOG_BASE, p.encodeU64(0n), [suite.frontend.memoryFd])).toBe(false);
    suite.frontend.tell(R.SEND_RARP, p.encodeU64(0n));
    suite.frontend.tell(R.SEND_RARP, p.encodeU64(0n));
    expect(await suite.frontend.confirm(R.SET_OWNER)).toBe(true);
    expect(suite.notices.slice(2)).toEqual(['SEND_RARP ignored, not supported']);
  });

  it('leaves the memory as it was', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    const small = memfd('small', 4096, false);
    const table = p.encodeMemoryTable([suite.frontend.region()]);
    expect(await suite.frontend.confirm(R.SET_MEM_TABLE, table, [small])).toBe(false);
    closeFile(small);
    expect(suite.notices).toEqual([
      expect.stringMatching(/SET_MEM_TABLE refused.*ends at byte 2097152 of a file of 4096 bytes/),
    ]);
    suite.offerFrame();
    expect(suite.take()).toBe(1);
  });

  it('is refused for a ring outside of the memory, or at an odd address', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    suite.frontend.setMemory();
    suite.frontend.setRing(0);
    suite.frontend.setKick(0);
    const good = suite.frontend.address(0);
    for (const bad of [{ used: USER_BASE + 0x1f_ffffn }, { descriptor: 0n }, { available: USER_BASE + 0x1_0001n }]) {
      const address = p.encodeVringAddress({ ...good, ...bad });
      expect(await suite.frontend.confirm(R.SET_VRING_ADDR, address)).toBe(false);
    }
    expect(await suite.frontend.confirm(R.SET_VRING_ADDR, p.encodeVringAddress(good))).toBe(true);
  });

  it('is refused for a kick that is no eventfd', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await suite.frontend.confirm(R.SET_VRING_KICK, p.encodeVringFd(0, true), [suite.frontend.memoryFd])).toBe(
      false,
    );
    expect(suite.notices).toEqual([
      expect.stringMatching(/ring 0: kick file descriptor is .*memfd.*expected an eventfd/),
    ]);
  });

  it.each([
    ['refused', p.PROTOCOL_F_REPLY_ACK],
    ['hung up on', 0n],
  ])('is %s with a plain line, whatever the name of the file is', async (_, features) => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, features);
    const file = emptyMemfd(HOSTILE_NAME);
    const payload = p.encodeVringFd(0, true);
    if (features === 0n) {
      suite.frontend.tell(R.SET_VRING_CALL, payload, [file]);
      await until('the end', () => suite.links.length > 1);
    } else {
      expect(await suite.frontend.confirm(R.SET_VRING_CALL, payload, [file])).toBe(false);
    }
    closeFile(file);
    const [line = ''] = features === 0n ? suite.links.slice(1) : suite.notices;
    expect(line).toContain(
      "ring 0: call file descriptor is '/memfd:\\nport vm2: forged\\x1b[2J\\x9b31m\\r\\u202e\\u2028xx",
    );
    expect(isPlain(line)).toBe(true);
    expect(line.length).toBeLessThan(400);
  });

  it('is refused if it would change a running ring', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    expect(await suite.frontend.confirm(R.SET_VRING_NUM, vring(1, 32))).toBe(false);
    expect(await suite.frontend.confirm(R.SET_VRING_BASE, vring(1, 3))).toBe(false);
    expect(await suite.frontend.confirm(R.SET_FEATURES, p.encodeU64(MODERN | f.VIRTIO_F_EVENT_IDX))).toBe(false);
    expect(await suite.frontend.confirm(R.SET_FEATURES, p.encodeU64(MODERN))).toBe(true);
    suite.offerFrame();
    expect(suite.take()).toBe(1);
  });

  it('of any kind leaves a backend that serves the next peer, and no descriptors', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, 0n);
    await suite.started();
    suite.frontend.close();
    suite.open.splice(suite.open.indexOf(suite.frontend), 1);
    await until('the end', () => !suite.backend.connected);
    const descriptors = openFds();
    const request = fc.oneof(fc.constantFrom(...Object.values(R)), fc.nat(50));
    const word = fc.oneof(fc.nat(3), fc.nat(300), fc.nat(0xffffffff));
    const message = fc.record({
      request,
      words: fc.array(word, { maxLength: 12 }),
      files: fc.nat(2),
      ack: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 10 }), async (messages) => {
        const peer = new FakeFrontend(connectUnix(suite.path), suite.reactor);
        try {
          for (const { request, words, files, ack } of messages) {
            const fds = [peer.memoryFd, peer.kicks[0]!].slice(0, files);
            const payload = Buffer.from(Uint32Array.from(words).buffer);
            peer.tell(request, payload, fds, ack ? p.FLAG_NEED_REPLY : 0);
          }
        } catch {
          // The backend has hung up already, which is as good an end.
        }
        await until('the peer to be served', () => suite.backend.connected || peer.hungUp !== null);
        peer.close();
        await until('its end', () => !suite.backend.connected);
        expect(openFds()).toBe(descriptors);
      }),
      { numRuns: 100 },
    );
    suite.connect();
    suite.frontend.start(MODERN, 0n);
    await suite.started();
    suite.offerFrame();
    expect(suite.take()).toBe(1);
  });
});
