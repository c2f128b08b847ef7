import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../drivers/libc/ffi.js';
import {
  abi,
  acceptUnix,
  closeFile,
  connectUnix,
  eventfd,
  listenUnix,
  memfd,
  Reactor,
} from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import { VhostUserBackend, type VhostUserBackendOptions } from '../../drivers/transports/vhost-user/backend.js';
import * as p from '../../drivers/transports/vhost-user/protocol.js';
import type { QueuePair } from '../../drivers/transports/vhost-user/queue-pair.js';
import type { RingOptions } from '../../drivers/virtio/device-ring.js';
import * as f from '../../drivers/virtio/features.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/packet-burst.js';
import { FakeFrontend, USER_BASE } from '../support/fake-frontend.js';
import type { PackedDriver } from '../support/packed-driver.js';
import { openFds } from '../support/resources.js';
import { until } from '../support/until.js';

const R = p.VhostUserRequest;
const MODERN = f.VIRTIO_F_VERSION_1 | f.VHOST_USER_F_PROTOCOL_FEATURES;
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);

let folder: string;
let path: string;
let reactor: Reactor;
let windows: WindowAllocator;
let backend: VhostUserBackend;
let pair: QueuePair;
let burst: PacketBurst;
let frontend: FakeFrontend;
let links: string[];
let notices: string[];
let open: { close(): void }[];

beforeAll(() => {
  reactor = new Reactor();
});

afterAll(() => reactor.close());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tspmd-'));
  path = join(folder, 'port.sock');
  windows = new WindowAllocator(64 << 20);
  links = [];
  notices = [];
  open = [];
});

afterEach(() => {
  for (const each of open) each.close();
  rmSync(folder, { recursive: true });
});

function listen(options: Partial<VhostUserBackendOptions> = {}): VhostUserBackend {
  backend = new VhostUserBackend({ path, reactor, windows, ...options });
  backend.onLink = (state, reason) => links.push(`${state} ${reason.slice(backend.name.length + 2)}`);
  backend.onNotice = (line) => notices.push(line.slice(backend.name.length + 2));
  open.push(backend);
  pair = backend.pairs[0]!;
  return backend;
}

function connect(options: Partial<RingOptions> = {}): FakeFrontend {
  frontend = new FakeFrontend(connectUnix(path), reactor, options);
  open.push(frontend);
  burst = new PacketBurst(frontend.window);
  return frontend;
}

const started = (): Promise<void> => until('both queues', () => pair.txQueue !== null && pair.rxQueue !== null);

function offerFrame(length = 60): void {
  frontend.tx.offer([{ offset: frontend.tx.buffer(12 + length), length: 12 + length }]);
}

/** One frame of 60 bytes in the burst. */
function fill(): void {
  burst.clear();
  burst.push(0x4_0000, 60);
}

const take = (): number => {
  const count = pair.take(burst, MAX_BURST);
  pair.complete();
  return count;
};

describe('the socket of a backend', () => {
  it('is for its owner only, and goes with the backend', () => {
    listen();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    backend.close();
    backend.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is refused where a file is already, which stays', () => {
    writeFileSync(path, 'x');
    expect(() => listen()).toThrow(/the file is already there \(EADDRINUSE\)/);
    expect(statSync(path).size).toBe(1);
  });

  it('is not removed when somebody has put another file in its place', () => {
    listen();
    rmSync(path);
    writeFileSync(path, 'x');
    backend.close();
    expect(readdirSync(folder)).toEqual(['port.sock']);
  });

  it.each([0, 129, 1.5])('is not made for %d queue pairs', (queuePairs) => {
    expect(() => listen({ queuePairs })).toThrow(/queue pairs; possible are 1 to 128/);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('negotiation', () => {
  it('offers complete frames and nothing that it does not do', async () => {
    listen();
    connect();
    const features = p.decodeU64(await frontend.ask(R.GET_FEATURES), 'features');
    expect(f.featureNames(features)).toBe(
      'MTU, MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1, RING_PACKED',
    );
    const protocol = p.decodeU64(await frontend.ask(R.GET_PROTOCOL_FEATURES), 'protocol features');
    expect(protocol).toBe(0x12019n);
    expect(p.decodeU64(await frontend.ask(R.GET_QUEUE_NUM), 'queues')).toBe(1n);
  });

  it('offers several queue pairs where there are', async () => {
    listen({ queuePairs: 3 });
    connect();
    const features = p.decodeU64(await frontend.ask(R.GET_FEATURES), 'features');
    expect(features & f.VIRTIO_NET_F_MQ).not.toBe(0n);
    expect(p.decodeU64(await frontend.ask(R.GET_QUEUE_NUM), 'queues')).toBe(3n);
  });

  it('keeps status and MTU', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_STATUS);
    expect(await frontend.confirm(R.SET_STATUS, p.encodeU64(11n))).toBe(true);
    expect(p.decodeU64(await frontend.ask(R.GET_STATUS), 'status')).toBe(11n);
    expect(await frontend.confirm(R.NET_SET_MTU, p.encodeU64(9000n))).toBe(true);
    expect(backend.mtu).toBe(9000);
    expect(await frontend.confirm(R.NET_SET_MTU, p.encodeU64(67n))).toBe(false);
    expect(backend.mtu).toBe(9000);
  });
});

describe('rings', () => {
  it('start at their first kick, carry frames, and stop with GET_VRING_BASE', async () => {
    listen();
    connect();
    let changes = 0;
    backend.onChange = () => changes++;
    frontend.start(MODERN, 0n);
    await started();
    expect(backend.txQueue(0)).toBe(pair.txQueue);
    expect(backend.rxQueue(0)).toBe(pair.rxQueue);
    expect(changes).toBe(2);
    offerFrame(100);
    expect(take()).toBe(1);
    expect(burst.length[0]).toBe(100);
    expect(frontend.tx.takeUsed()).toHaveLength(1);
    frontend.rx.offer([{ offset: frontend.rx.buffer(1600), length: 1600, write: true }]);
    fill();
    expect(pair.put(burst, ALL, 1)).toBe(1);
    expect(frontend.rx.takeUsed()).toEqual([{ id: expect.any(Number), length: 72 }]);
    expect(frontend.rx.takeSignal()).toBe(true);
    const base = await frontend.ask(R.GET_VRING_BASE, p.encodeVringState({ index: 1, num: 0 }));
    expect(p.decodeVringState(base, 'base')).toEqual({ index: 1, num: 1 });
    expect(pair.txQueue).toBe(null);
    expect(take()).toBe(0);
    expect(pair.rxQueue).not.toBe(null);
  });

  it('do not start before a kick, nor when only enabled', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setKick(1);
    expect(await frontend.confirm(R.SET_VRING_ENABLE, p.encodeVringState({ index: 1, num: 1 }))).toBe(true);
    expect(pair.txQueue).toBe(null);
    frontend.kick(1);
    await until('the queue', () => pair.txQueue !== null);
  });

  it('start with a kick that came before they were set up', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    frontend.setEnabled(1, 1);
    frontend.kick(1);
    frontend.setKick(1);
    expect(await frontend.confirm(R.SET_OWNER)).toBe(true);
    frontend.setMemory();
    frontend.setRing(1);
    await until('the queue', () => pair.txQueue !== null);
  });

  it('start without a kick when frames wait, as after a backend that wanted no kicks and died', async () => {
    listen();
    connect();
    offerFrame();
    frontend.setFeatures(MODERN, 0n);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setEnabled(1, 1);
    frontend.setKick(1);
    await until('the queue', () => pair.txQueue !== null);
    expect(take()).toBe(1);
  });

  it('start at once, and must be polled, when there is no kick descriptor', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, 0n);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setEnabled(1, 1);
    expect(backend.pollOnly).toBe(false);
    frontend.tell(R.SET_VRING_KICK, p.encodeVringFd(1, false));
    await until('the queue', () => pair.txQueue !== null);
    expect([backend.pollOnly, pair.pollOnly]).toEqual([true, true]);
  });

  it('must be polled from the moment on at which their kick descriptor is taken away, running or not', async () => {
    listen();
    connect();
    frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await started();
    const polled = p.encodeVringFd(1, false);
    expect(await frontend.confirm(R.SET_VRING_KICK, polled)).toBe(true);
    expect([pair.txQueue !== null, pair.pollOnly]).toEqual([true, true]);
    await frontend.ask(R.GET_VRING_BASE, p.encodeVringState({ index: 1, num: 0 }));
    frontend.setRing(1);
    frontend.setKick(1);
    expect(await frontend.confirm(R.SET_VRING_KICK, polled)).toBe(true);
    expect([pair.txQueue !== null, pair.pollOnly]).toEqual([true, true]);
  });

  it('follow features that are set while they wait for their first kick', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setEnabled(1, 1);
    frontend.setKick(1);
    // A legacy driver's header has 10 bytes.
    expect(await frontend.confirm(R.SET_FEATURES, p.encodeU64(f.VHOST_USER_F_PROTOCOL_FEATURES))).toBe(true);
    frontend.kick(1);
    await until('the queue', () => pair.txQueue !== null);
    frontend.tx.offer([{ offset: frontend.tx.buffer(70), length: 70 }]);
    expect(take()).toBe(1);
    expect(burst.length[0]).toBe(60);
  });

  it('signal a call descriptor that is new, and never wait for its reader', async () => {
    listen();
    connect();
    frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await started();
    const call = native.eventfd(0, abi.EFD_CLOEXEC);
    expect(await frontend.confirm(R.SET_VRING_CALL, p.encodeVringFd(0, true), [call])).toBe(true);
    const info = readFileSync(`/proc/self/fdinfo/${call}`, 'utf8');
    expect(Number.parseInt(/flags:\s+(\d+)/.exec(info)![1]!, 8) & abi.O_NONBLOCK).toBe(abi.O_NONBLOCK);
    expect(info).toMatch(/eventfd-count:\s+1\n/);
    closeFile(call);
  });

  it('that are broken when they are set up do not start, and can be set up anew', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    frontend.kick(1);
    frontend.setKick(1);
    expect(await frontend.confirm(R.SET_OWNER)).toBe(true);
    frontend.tx.setAvailIdx(100);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setEnabled(1, 1);
    await until('the notice', () => notices.length > 0);
    expect(notices[0]).toMatch(/^ring 1 stopped, the driver broke it/);
    frontend.tx.setAvailIdx(0);
    expect(await frontend.confirm(R.SET_VRING_NUM, p.encodeVringState({ index: 1, num: 16 }))).toBe(true);
    await until('the queue', () => pair.txQueue !== null);
  });

  it('are enabled from the start without PROTOCOL_FEATURES', async () => {
    listen();
    connect();
    frontend.setFeatures(f.VIRTIO_F_VERSION_1, 0n);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setKick(1);
    frontend.kick(1);
    await until('the queue', () => pair.txQueue !== null);
  });

  it('discard what is sent while they are disabled', async () => {
    listen();
    connect();
    frontend.start(MODERN, 0n);
    await started();
    frontend.setEnabled(1, 0);
    await until('the queue to go', () => pair.txQueue === null);
    for (let i = 0; i < 5; i++) offerFrame();
    frontend.kick(1);
    let used = 0;
    await until(
      'five frames discarded',
      () => used === 5,
      () => {
        used += frontend.tx.takeUsed().length;
      },
    );
    frontend.setEnabled(1, 1);
    await started();
    expect(take()).toBe(0);
  });

  it('wake whoever wants kicks, also when they start only later', async () => {
    listen();
    let kicks = 0;
    pair.onKick = () => kicks++;
    expect(pair.enableKick()).toBe(true);
    connect();
    offerFrame();
    frontend.start(MODERN, 0n);
    await until('a kick', () => kicks > 0);
    await started();
    expect(pair.enableKick()).toBe(false);
    expect(take()).toBe(1);
    expect(pair.enableKick()).toBe(true);
    expect(frontend.tx.usedFlags).toBe(0);
    const before = kicks;
    frontend.kick(1);
    await until('another kick', () => kicks > before);
    pair.disableKick();
    expect(frontend.tx.usedFlags).toBe(1);
  });

  it('go on in a new memory table, and stop when they are not in it', async () => {
    listen();
    connect();
    frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await started();
    const queue = pair.txQueue;
    offerFrame();
    expect(take()).toBe(1);
    const again = p.encodeMemoryTable([frontend.region()]);
    expect(await frontend.confirm(R.SET_MEM_TABLE, again, [frontend.memoryFd])).toBe(true);
    expect(pair.txQueue).toBe(queue);
    offerFrame();
    expect(take()).toBe(1);
    expect(frontend.tx.takeUsed()).toHaveLength(2);
    const elsewhere = p.encodeMemoryTable([{ ...frontend.region(), userAddress: USER_BASE + 0x1_0000_0000n }]);
    expect(await frontend.confirm(R.SET_MEM_TABLE, elsewhere, [frontend.memoryFd])).toBe(true);
    expect([pair.txQueue, pair.rxQueue]).toEqual([null, null]);
    expect(notices).toHaveLength(2);
    expect(notices[1]).toMatch(
      /ring 1: descriptor table of 256 bytes at user address 0x7f0000081000 is not in the memory/,
    );
  });

  it('that the driver breaks stop, tell the err descriptor, and leave the other ring alone', async () => {
    listen();
    connect();
    const err = eventfd();
    let signalled = false;
    reactor.watch(err, abi.EPOLLIN | abi.EPOLLET, () => {
      signalled = true;
    });
    frontend.start(MODERN, 0n);
    frontend.tell(R.SET_VRING_ERR, p.encodeVringFd(1, true), [err]);
    await started();
    await frontend.ask(R.GET_FEATURES);
    frontend.tx.setAvailIdx(100);
    expect(take()).toBe(0);
    expect(pair.txQueue).toBe(null);
    expect(pair.rxQueue).not.toBe(null);
    expect(notices).toEqual([expect.stringMatching(/^ring 1 stopped, the driver broke it: avail index 100/)]);
    await until('the signal', () => signalled);
    reactor.unwatch(err);
    closeFile(err);
  });

  it('stop at a reset', async () => {
    listen();
    connect();
    frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_STATUS);
    expect(await frontend.confirm(R.SET_STATUS, p.encodeU64(15n))).toBe(true);
    await started();
    expect(await frontend.confirm(R.SET_STATUS, p.encodeU64(0n))).toBe(true);
    expect([pair.txQueue, pair.rxQueue]).toEqual([null, null]);
  });

  it('count frames for a peer that is not there', () => {
    listen();
    burst = new PacketBurst(windows.allocate(1 << 20).window);
    fill();
    expect(pair.put(burst, ALL, 1)).toBe(0);
    expect(pair.counters()).toMatchObject({ out_noDriver: 1, out_packets: 0, in_packets: 0 });
  });
});

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

  it.each(refused)('is refused, where an answer is wanted: %s', async (_, request, payload, message) => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await frontend.confirm(request, payload)).toBe(false);
    expect(notices).toEqual([expect.stringMatching(message)]);
    expect(await frontend.confirm(R.SET_OWNER)).toBe(true);
  });

  it.each(refused)('ends the connection, where none is: %s', async (_, request, payload, message) => {
    listen();
    connect();
    frontend.tell(request, payload);
    await until('the end', () => frontend.hungUp !== null && !backend.connected);
    expect(links.at(-1)).toMatch(message);
  });

  it.each<[string, number, Buffer | null, number, RegExp]>([
    ['a payload too short', R.SET_VRING_NUM, Buffer.alloc(4), 0, /SET_VRING_NUM: payload of 4 bytes, expected 8/],
    ['a payload where none belongs', R.SET_OWNER, Buffer.alloc(8), 0, /SET_OWNER: payload of 8 bytes, expected 0/],
    ['a ring that there is not', R.SET_VRING_NUM, vring(2, 256), 0, /ring 2; there are 2/],
    ['a ring of 2^32 - 1', R.GET_VRING_BASE, vring(0xffffffff, 0), 0, /ring 4294967295/],
    ['descriptors where none belong', R.SET_OWNER, null, 1, /SET_OWNER: 1 descriptors, expected none/],
    ['a kick without its descriptor', R.SET_VRING_KICK, p.encodeVringFd(0, true), 0, /0 descriptors, expected 1/],
    ['a kick with one too many', R.SET_VRING_KICK, p.encodeVringFd(0, false), 1, /1 descriptors, expected 0/],
    ['a memory table without files', R.SET_MEM_TABLE, p.encodeMemoryTable([]), 1, /1 descriptors for 0 regions/],
    ['a memory table cut short', R.SET_MEM_TABLE, Buffer.alloc(4), 0, /SET_MEM_TABLE: payload of 4 bytes/],
  ])('ends the connection in any case when it is malformed: %s', async (_, request, payload, count, message) => {
    listen();
    connect();
    const fds = Array.from({ length: count }, () => eventfd());
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    frontend.tell(request, payload, fds, p.FLAG_NEED_REPLY);
    for (const fd of fds) closeFile(fd);
    await until('the end', () => frontend.hungUp !== null && !backend.connected);
    expect(links.at(-1)).toMatch(message);
  });

  it('is refused when it is not understood and an answer is wanted, else ignored', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await frontend.confirm(99)).toBe(false);
    expect(await frontend.confirm(R.SET_LOG_BASE, p.encodeU64(0n), [frontend.memoryFd])).toBe(false);
    frontend.tell(R.SEND_RARP, p.encodeU64(0n));
    frontend.tell(R.SEND_RARP, p.encodeU64(0n));
    expect(await frontend.confirm(R.SET_OWNER)).toBe(true);
    expect(notices.slice(2)).toEqual(['SEND_RARP ignored, not supported']);
  });

  it('leaves the memory as it was', async () => {
    listen();
    connect();
    frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await started();
    const small = memfd('small', 4096, false);
    const table = p.encodeMemoryTable([frontend.region()]);
    expect(await frontend.confirm(R.SET_MEM_TABLE, table, [small])).toBe(false);
    closeFile(small);
    expect(notices).toEqual([
      expect.stringMatching(/SET_MEM_TABLE refused.*ends at byte 2097152 of a file of 4096 bytes/),
    ]);
    offerFrame();
    expect(take()).toBe(1);
  });

  it('is refused for a ring outside of the memory, or at an odd address', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    frontend.setMemory();
    frontend.setRing(0);
    frontend.setKick(0);
    const good = frontend.address(0);
    for (const bad of [{ used: USER_BASE + 0x1f_ffffn }, { descriptor: 0n }, { available: USER_BASE + 0x1_0001n }]) {
      const address = p.encodeVringAddress({ ...good, ...bad });
      expect(await frontend.confirm(R.SET_VRING_ADDR, address)).toBe(false);
    }
    expect(await frontend.confirm(R.SET_VRING_ADDR, p.encodeVringAddress(good))).toBe(true);
  });

  it('is refused for a kick that is no eventfd', async () => {
    listen();
    connect();
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await frontend.confirm(R.SET_VRING_KICK, p.encodeVringFd(0, true), [frontend.memoryFd])).toBe(false);
    expect(notices).toEqual([expect.stringMatching(/ring 0: kick descriptor is .*memfd.*expected an eventfd/)]);
  });

  it('is refused when it would change a running ring', async () => {
    listen();
    connect();
    frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await started();
    expect(await frontend.confirm(R.SET_VRING_NUM, vring(1, 32))).toBe(false);
    expect(await frontend.confirm(R.SET_VRING_BASE, vring(1, 3))).toBe(false);
    expect(await frontend.confirm(R.SET_FEATURES, p.encodeU64(MODERN | f.VIRTIO_F_EVENT_IDX))).toBe(false);
    expect(await frontend.confirm(R.SET_FEATURES, p.encodeU64(MODERN))).toBe(true);
    offerFrame();
    expect(take()).toBe(1);
  });

  it('of any kind leaves a backend that serves the next peer, and no descriptor of this one', async () => {
    listen();
    connect();
    frontend.start(MODERN, 0n);
    await started();
    frontend.close();
    open.splice(open.indexOf(frontend), 1);
    await until('the end', () => !backend.connected);
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
        const peer = new FakeFrontend(connectUnix(path), reactor);
        try {
          for (const { request, words, files, ack } of messages) {
            const fds = [peer.memoryFd, peer.kicks[0]!].slice(0, files);
            const payload = Buffer.from(Uint32Array.from(words).buffer);
            peer.tell(request, payload, fds, ack ? p.FLAG_NEED_REPLY : 0);
          }
        } catch {
          // The backend has hung up already: as good an end as any.
        }
        await until('the peer to be served', () => backend.connected || peer.hungUp !== null);
        peer.close();
        await until('its end', () => !backend.connected);
        expect(openFds()).toBe(descriptors);
      }),
      { numRuns: 100 },
    );
    connect();
    frontend.start(MODERN, 0n);
    await started();
    offerFrame();
    expect(take()).toBe(1);
  });
});

describe('peers', () => {
  it('are served one after the other; one that comes early waits', async () => {
    listen();
    const first = connect();
    first.start(MODERN, 0n);
    await started();
    const second = connect();
    second.start(MODERN, 0n);
    await until('an answer to the first', () => first.hungUp === null && backend.connected);
    first.close();
    open.splice(open.indexOf(first), 1);
    await until('the second', () => links.length === 3);
    await started();
    offerFrame();
    expect(take()).toBe(1);
    expect(links).toEqual(['up a peer has connected', 'down the peer is gone: closed', 'up a peer has connected']);
    backend.close();
    expect(links.at(-1)).toBe('down closed');
    await until('the end', () => second.hungUp !== null);
  });

  it('wait while the process has no descriptor free, and are served when it has', async () => {
    listen();
    const limit = (soft: string): void => {
      execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]);
    };
    const before = /open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!;
    limit('256');
    const held: number[] = [];
    try {
      connect();
      while (held.length < 256) held.push(openSync('/dev/null', 'r'));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('EMFILE');
      await until('the notice', () => notices.length > 0);
    } finally {
      for (const fd of held) closeSync(fd);
      limit(before);
    }
    expect(notices).toEqual([expect.stringMatching(/^a peer cannot be served now: accept .*EMFILE/)]);
    await until('the peer to be served', () => backend.connected);
  });

  it('are connected to by a client, again and again', async () => {
    listen({ client: true });
    await until('a notice', () => notices.length > 0);
    expect(notices[0]).toMatch(/^no frontend yet: connect .*ENOENT/);
    const listener = listenUnix(path);
    open.push({ close: () => closeFile(listener) });
    for (let round = 0; round < 2; round++) {
      let fd: number | null = null;
      await until(
        'the backend',
        () => fd !== null,
        () => {
          fd = acceptUnix(listener, path);
        },
      );
      const peer = new FakeFrontend(fd!, reactor);
      frontend = peer;
      burst = new PacketBurst(peer.window);
      peer.start(MODERN, 0n);
      await started();
      offerFrame();
      expect(take()).toBe(1);
      peer.close();
      await until('the end', () => !backend.connected);
    }
    expect(pair.counters().in_packets).toBe(2);
    backend.close();
    expect(readdirSync(folder)).toEqual(['port.sock']);
  });
});

describe('packed rings', () => {
  const PACKED = MODERN | f.VIRTIO_F_RING_PACKED;

  it.each([0x8000, 0x0003, 0x8005_8005])('begin at base %i, and stop where they are', async (base) => {
    listen();
    connect({ packed: true, base, size: 13 });
    frontend.start(PACKED, p.PROTOCOL_F_REPLY_ACK);
    await started();
    const [rx, tx] = frontend.drivers;
    for (let i = 0; i < 20; i++) {
      const length = 12 + 60 + i;
      tx.offer([{ offset: tx.buffer(length), length }]);
      rx.offer([{ offset: rx.buffer(length), length, write: true }]);
      expect(pair.take(burst, MAX_BURST)).toBe(1);
      expect(pair.put(burst, ALL, 1)).toBe(1);
      pair.complete();
      expect(tx.takeUsed()).toHaveLength(1);
      expect(rx.takeUsed().map((used) => used.length)).toEqual([length]);
    }
    for (const [index, driver] of [rx, tx].entries()) {
      const reply = await frontend.ask(R.GET_VRING_BASE, p.encodeVringState({ index, num: 0 }));
      expect(p.decodeVringState(reply, 'base')).toEqual({ index, num: (driver as PackedDriver).expectedBase });
    }
    expect(notices).toEqual([]);
  });

  it('may have any size, and a base of 32 bits', async () => {
    listen();
    connect();
    frontend.setFeatures(PACKED, p.PROTOCOL_F_REPLY_ACK);
    const set = (request: number, num: number): Promise<boolean> =>
      frontend.confirm(request, p.encodeVringState({ index: 1, num }));
    expect(await set(R.SET_VRING_NUM, 100)).toBe(true);
    expect(await set(R.SET_VRING_BASE, 0x8063_8063)).toBe(true);
    expect(await set(R.SET_VRING_NUM, 32769)).toBe(false);
    expect(await set(R.SET_VRING_NUM, 0)).toBe(false);
    frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await set(R.SET_VRING_NUM, 100)).toBe(false);
    expect(await set(R.SET_VRING_BASE, 0x8000_8000)).toBe(false);
  });

  it('are stopped by a driver that breaks them, and go on in a new table', async () => {
    listen();
    connect({ packed: true, base: 0x8000 });
    frontend.start(PACKED, p.PROTOCOL_F_REPLY_ACK);
    await started();
    const [, tx] = frontend.drivers;
    frontend.setMemory();
    expect(await frontend.confirm(R.SET_OWNER)).toBe(true);
    tx.offer([{ offset: tx.buffer(72), length: 72 }]);
    expect(take()).toBe(1);
    (tx as PackedDriver).offerRaw([{ offset: 0x4000, length: 72, flags: 1 }]);
    expect(take()).toBe(0);
    expect(notices).toEqual([expect.stringMatching(/^ring 1 stopped, the driver broke it: the chain at descriptor 1/)]);
    expect(pair.txQueue).toBeNull();
  });
});
