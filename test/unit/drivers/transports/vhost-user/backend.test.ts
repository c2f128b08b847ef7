/** The vhost-user backend: its socket, what it offers, and the peers that come and go. */
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { acceptUnix, type Closer, closeFile, closeInPlace, listenUnix } from '../../../../../drivers/libc/index.js';
import { OFFLOAD_CSUM } from '../../../../../drivers/offloads.js';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { openFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';
import { BackendSuite, MODERN } from '../../../../support/vhost-user/backend-suite.js';
import { FakeFrontend } from '../../../../support/vhost-user/fake-frontend.js';

const R = p.VhostUserRequest;
const suite = new BackendSuite();

describe('the socket of a backend', () => {
  it('is for its owner only, and is removed with the backend', () => {
    suite.listen();
    expect(statSync(suite.path).mode & 0o777).toBe(0o600);
    suite.backend.close();
    suite.backend.close();
    expect(readdirSync(suite.folder)).toEqual([]);
  });

  it('is refused where a file is already, and the file stays', () => {
    writeFileSync(suite.path, 'x');
    expect(() => suite.listen()).toThrow(/the file is already there \(EADDRINUSE\)/);
    expect(statSync(suite.path).size).toBe(1);
  });

  it('is not removed when another file has taken its place', () => {
    suite.listen();
    rmSync(suite.path);
    writeFileSync(suite.path, 'x');
    suite.backend.close();
    expect(readdirSync(suite.folder)).toEqual(['port.sock']);
  });

  it.each([0, 129, 1.5])('is not made for %d queue pairs', (queuePairs) => {
    expect(() => suite.listen({ queuePairs })).toThrow(/queue pairs; possible are 1 to 128/);
    expect(readdirSync(suite.folder)).toEqual([]);
  });
});

describe('negotiation', () => {
  it.each([
    [
      'all of its offloads',
      {},
      'CSUM, GUEST_CSUM, MTU, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, HOST_TSO4, HOST_TSO6, HOST_ECN, ',
    ],
    ['checksums alone', { offloads: OFFLOAD_CSUM }, 'CSUM, GUEST_CSUM, MTU, '],
    ['no offloads', { offloads: 0 }, 'MTU, '],
  ])('offers %s, and nothing that it does not do', async (_, options, first) => {
    suite.listen(options);
    suite.connect();
    const features = p.decodeU64(await suite.frontend.ask(R.GET_FEATURES), 'features');
    expect(f.featureNames(features)).toBe(
      `${first}MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1, RING_PACKED`,
    );
    const protocol = p.decodeU64(await suite.frontend.ask(R.GET_PROTOCOL_FEATURES), 'protocol features');
    expect(protocol).toBe(0x12019n);
    expect(p.decodeU64(await suite.frontend.ask(R.GET_QUEUE_NUM), 'queues')).toBe(1n);
  });

  it('offers several queue pairs where there are several', async () => {
    suite.listen({ queuePairs: 3 });
    suite.connect();
    const features = p.decodeU64(await suite.frontend.ask(R.GET_FEATURES), 'features');
    expect(features & f.VIRTIO_NET_F_MQ).not.toBe(0n);
    expect(p.decodeU64(await suite.frontend.ask(R.GET_QUEUE_NUM), 'queues')).toBe(3n);
  });

  it('keeps status and MTU', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_STATUS);
    expect(await suite.frontend.confirm(R.SET_STATUS, p.encodeU64(11n))).toBe(true);
    expect(p.decodeU64(await suite.frontend.ask(R.GET_STATUS), 'status')).toBe(11n);
    expect(await suite.frontend.confirm(R.NET_SET_MTU, p.encodeU64(9000n))).toBe(true);
    expect(suite.backend.mtu).toBe(9000);
    expect(await suite.frontend.confirm(R.NET_SET_MTU, p.encodeU64(67n))).toBe(false);
    expect(suite.backend.mtu).toBe(9000);
  });
});

describe('peers', () => {
  it('are served one after the other; one that comes early waits', async () => {
    suite.listen();
    const first = suite.connect();
    first.start(MODERN, 0n);
    await suite.started();
    const second = suite.connect();
    second.start(MODERN, 0n);
    await until('an answer to the first', () => first.hungUp === null && suite.backend.connected);
    first.close();
    suite.open.splice(suite.open.indexOf(first), 1);
    await until('the second', () => suite.links.length === 3);
    await suite.started();
    suite.offerFrame();
    expect(suite.take()).toBe(1);
    expect(suite.links).toEqual([
      'up a peer has connected',
      'down the peer is gone: closed',
      'up a peer has connected',
    ]);
    suite.backend.close();
    expect(suite.links.at(-1)).toBe('down closed');
    await until('the end', () => second.hungUp !== null);
  });

  it('are reported as gone when all that they had is closed and unmapped', async () => {
    suite.listen();
    const before = openFds();
    const peer = suite.connect();
    // By its inode: mappings of earlier peers go at any time, with the garbage.
    const file = new RegExp(`^\\S+ \\S+ \\S+ \\S+ ${fstatSync(peer.memoryFd).ino} `, 'gm');
    const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').match(file)?.length ?? 0;
    const own = mappings();
    peer.start(MODERN, 0n);
    await suite.started();
    expect(mappings()).toBe(own + 1);
    const found: [number, number][] = [];
    suite.backend.onLink = () => found.push([openFds(), mappings()]);
    peer.close();
    suite.open.splice(suite.open.indexOf(peer), 1);
    await until('its end', () => found.length > 0);
    expect(found).toEqual([[before, own]]);
  });

  it('are gone after a second if their descriptors are not closed; a line says so', async () => {
    const hanging = { ...closeInPlace, pending: 3, settled: async () => 3 };
    suite.listen({ closer: hanging });
    for (let round = 1; round <= 2; round++) {
      suite.connect().start(MODERN, 0n);
      await suite.started();
      suite.frontend.close();
      suite.open.splice(suite.open.indexOf(suite.frontend), 1);
      await until('its end', () => suite.notices.length === round);
    }
    const line = '3 file descriptors that the peer sent or has are not closed: closing them hangs';
    expect(suite.notices).toEqual([line, line]);
    expect(suite.links.at(-1)).toBe('down the peer is gone: closed');
    expect(suite.backend.unclosedDescriptors).toBe(3);
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue();
    await suite.backend.close();
    expect(warn.mock.calls).toEqual([[`${suite.backend.name}: ${line}`, { code: 'TSPMD_CLOSE_HANGS' }]]);
    warn.mockRestore();
  });

  it('are not served while too many descriptors are not closed', async () => {
    const full: { -readonly [Key in keyof Closer]: Closer[Key] } = { ...closeInPlace, pending: 1024, isFull: true };
    suite.listen({ closer: full });
    suite.connect();
    await until('a notice', () => suite.notices.length > 0);
    expect(suite.notices).toEqual([
      expect.stringMatching(/^a peer cannot be served now: 1024 file descriptors .* hangs$/),
    ]);
    full.isFull = false;
    await until('the peer to be served', () => suite.backend.connected);
  });

  it('wait while the process has no descriptor free, and are served later', async () => {
    suite.listen();
    const limit = (soft: string): void => {
      execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]);
    };
    const before = /open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!;
    limit('256');
    const held: number[] = [];
    try {
      suite.connect();
      while (held.length < 256) held.push(openSync('/dev/null', 'r'));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('EMFILE');
      await until('the notice', () => suite.notices.length > 0);
    } finally {
      for (const fd of held) closeSync(fd);
      limit(before);
    }
    expect(suite.notices).toEqual([expect.stringMatching(/^a peer cannot be served now: accept .*EMFILE/)]);
    await until('the peer to be served', () => suite.backend.connected);
  });

  it('are connected to again by a client that could not serve one', async () => {
    suite.listen({ client: true });
    await until('a notice', () => suite.notices.length > 0);
    vi.spyOn(suite.reactor, 'watch').mockImplementationOnce(() => {
      throw new Error('no memory');
    });
    const listener = listenUnix(suite.path);
    suite.open.push({ close: () => closeFile(listener) });
    await until('the connection', () => suite.backend.connected);
    expect(suite.notices.slice(1)).toEqual(['a peer cannot be served now: no memory']);
  });

  it('are connected to by a client, again and again', async () => {
    suite.listen({ client: true });
    await until('a notice', () => suite.notices.length > 0);
    expect(suite.notices[0]).toMatch(/^no frontend yet: connect .*ENOENT/);
    const listener = listenUnix(suite.path);
    suite.open.push({ close: () => closeFile(listener) });
    for (let round = 0; round < 2; round++) {
      let fd: number | null = null;
      await until(
        'the backend',
        () => fd !== null,
        () => {
          fd = acceptUnix(listener, suite.path);
        },
      );
      const peer = new FakeFrontend(fd!, suite.reactor);
      suite.use(peer);
      peer.start(MODERN, 0n);
      await suite.started();
      suite.offerFrame();
      expect(suite.take()).toBe(1);
      peer.close();
      await until('the end', () => !suite.backend.connected);
    }
    expect(suite.pair.counters().in_packets).toBe(2);
    suite.backend.close();
    expect(readdirSync(suite.folder)).toEqual(['port.sock']);
  });
});
