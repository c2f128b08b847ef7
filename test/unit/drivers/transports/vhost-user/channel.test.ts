import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  acceptUnix,
  closeFile,
  closeInPlace,
  connectUnix,
  eventfd,
  listenUnix,
  MessageSocket,
  Reactor,
  signalEventfd,
} from '../../../../../drivers/libc/index.js';
import {
  type ChannelHandlers,
  type Message,
  VhostUserChannel,
} from '../../../../../drivers/transports/vhost-user/channel.js';
import { encodeHeader, HEADER_BYTES } from '../../../../../drivers/transports/vhost-user/protocol.js';
import { openFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';

let folder: string;
let reactor: Reactor;
let near: VhostUserChannel;
/** What the other end receives, or `null` once the channel has hung up. */
let far: MessageSocket | null;
let received: { request: number; flags: number; payload: string; fds: number[] }[];
let closed: string[];
let onMessage: ((message: Message) => void) | null;
let descriptorsBefore: number;
/** Closes at once, and says what a test wants it to say. */
const backlog = { ...closeInPlace, pending: 0, isFull: false };

// One reactor for all tests: its descriptors are closed a moment after it, and the tests count descriptors.
beforeAll(() => {
  reactor = new Reactor();
});

afterAll(() => reactor.close());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tspmd-'));
  const path = join(folder, 'channel.sock');
  const listener = listenUnix(path);
  far = new MessageSocket(connectUnix(path), 'far');
  const fd = acceptUnix(listener, path)!;
  closeFile(listener);
  received = [];
  closed = [];
  backlog.pending = 0;
  backlog.isFull = false;
  onMessage = null;
  const handlers: ChannelHandlers = {
    onMessage: (message) => {
      const { request, flags, payload, fds } = message;
      received.push({ request, flags, payload: payload.toString('hex'), fds: [...fds] });
      onMessage?.(message);
    },
    onClose: (reason) => closed.push(reason),
  };
  near = new VhostUserChannel(reactor, fd, 'near', handlers, backlog);
  descriptorsBefore = openFds();
});

afterEach(() => {
  near.close();
  hangUp();
  rmSync(folder, { recursive: true });
});

function hangUp(): void {
  far?.close();
  far = null;
}

function bytes(request: number, payload: string, flags = 1): Buffer {
  const body = Buffer.from(payload, 'hex');
  const message = Buffer.from(new ArrayBuffer(HEADER_BYTES + body.length));
  encodeHeader(message, { request, flags, size: body.length });
  body.copy(message, HEADER_BYTES);
  return message;
}

describe('VhostUserChannel', () => {
  it('reads no message while many file descriptors wait to be closed', async () => {
    backlog.pending = 256;
    far!.send(bytes(1, ''));
    far!.send(bytes(2, ''));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(received).toEqual([]);
    backlog.pending = 255;
    await until('both messages', () => received.length === 2);
    expect(closed).toEqual([]);
  });

  it('ends when the file descriptors are not closed', async () => {
    backlog.pending = 256;
    far!.send(bytes(1, ''));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(closed).toEqual([]);
    backlog.isFull = true;
    await until('the end', () => closed.length > 0);
    expect(closed).toEqual([expect.stringMatching(/^256 file descriptors .* hangs$/)]);
    expect(received).toEqual([]);
  });

  it('delivers whole messages, wherever the stream is cut', async () => {
    const stream = Buffer.concat([bytes(1, ''), bytes(2, '0102030405060708'), bytes(3, 'aa')]);
    const all = Buffer.from(new ArrayBuffer(stream.length));
    stream.copy(all);
    for (let at = 0; at < all.length; at += 5) {
      far!.send(all.subarray(at, Math.min(at + 5, all.length)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('three messages', () => received.length === 3);
    expect(received.map(({ request, payload }) => [request, payload])).toEqual([
      [1, ''],
      [2, '0102030405060708'],
      [3, 'aa'],
    ]);
  });

  it('gives each message its own descriptors, and closes those that nobody took', async () => {
    const sent = [eventfd(), eventfd()];
    far!.send(bytes(1, 'aa'));
    far!.send(bytes(2, ''), sent);
    far!.send(bytes(3, 'bb'), [sent[0]!]);
    let taken = -1;
    onMessage = ({ request, fds }) => {
      if (request === 3) taken = fds.pop()!;
    };
    await until('three messages', () => received.length === 3);
    expect(received.map(({ fds }) => fds.length)).toEqual([0, 2, 1]);
    // The two descriptors that were sent, and the one that was taken.
    expect(openFds()).toBe(descriptorsBefore + 3);
    signalEventfd(taken);
    for (const fd of [...sent, taken]) closeFile(fd);
  });

  it('sends messages with descriptors', () => {
    const fd = eventfd();
    near.send(5, 8, Buffer.from('beef', 'hex'), [fd]);
    const into = Buffer.from(new ArrayBuffer(64));
    const got = far!.receive(into)!;
    expect(into.subarray(0, got.bytes)).toEqual(bytes(5, 'beef', 9));
    expect(got.fds).toHaveLength(1);
    closeFile(got.fds[0]!);
    closeFile(fd);
  });

  it('reports the end of the connection once', async () => {
    far!.send(bytes(1, ''));
    hangUp();
    await until('the end', () => closed.length > 0);
    expect(closed).toEqual(['closed']);
    expect(received).toHaveLength(1);
    expect(near.isOpen).toBe(false);
    expect(() => near.send(1, 0)).toThrow('near: GET_FEATURES on a closed connection');
  });

  it('reports an end in the middle of a message, and closes its descriptors', async () => {
    const fd = eventfd();
    far!.send(bytes(12, '0000000000000000').subarray(0, 15), [fd]);
    closeFile(fd);
    hangUp();
    await until('the end', () => closed.length > 0);
    expect(closed).toEqual(['closed in the middle of a message']);
    expect(openFds()).toBe(descriptorsBefore - 2);
  });

  it.each([
    ['another version', bytes(1, '', 2), 'GET_FEATURES: vhost-user version 2, expected 1'],
    ['an absurd size', Buffer.from('01000000010000000000ffff', 'hex'), /payload of 4294901760 bytes/],
    ['no vhost-user at all', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /vhost-user version/],
  ])('hangs up on %s', async (_, message, reason) => {
    const fd = eventfd();
    const data = Buffer.from(new ArrayBuffer(message.length));
    message.copy(data);
    far!.send(data, [fd]);
    closeFile(fd);
    await until('the end', () => closed.length > 0);
    expect(closed).toEqual([expect.stringMatching(reason)]);
    expect(received).toEqual([]);
    expect(openFds()).toBe(descriptorsBefore - 1);
  });

  it("hangs up with the error of the handler, and closes the message's descriptors", async () => {
    onMessage = () => {
      throw new Error('SET_THAT: not so');
    };
    const fd = eventfd();
    far!.send(bytes(1, ''), [fd]);
    closeFile(fd);
    await until('the end', () => closed.length > 0);
    expect(closed).toEqual(['SET_THAT: not so']);
    expect(openFds()).toBe(descriptorsBefore - 1);
  });

  it('hangs up when one message brings more descriptors than a message may have', async () => {
    const fds = Array.from({ length: 8 }, () => eventfd());
    const message = bytes(5, '00'.repeat(8));
    far!.send(message.subarray(0, 14), fds);
    far!.send(message.subarray(14), fds);
    for (const fd of fds) closeFile(fd);
    await until('the end', () => closed.length > 0);
    expect(closed).toEqual(['a message with more than 8 file descriptors']);
    expect(openFds()).toBe(descriptorsBefore - 1);
  });

  it('throws when the peer does not read its messages', () => {
    const payload = Buffer.alloc(4096);
    const flood = (): void => {
      for (let i = 0; i < 10_000; i++) near.send(1, 0, payload);
    };
    expect(flood).toThrow(/does not read/);
  });

  it('does not report a close that was asked for', async () => {
    far!.send(bytes(1, ''));
    near.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(closed).toEqual([]);
    expect(received).toEqual([]);
  });
});
