/** tcp-echo and discard on connections without a network. */
import { describe, expect, it } from 'vitest';
import { DiscardHandlers } from '../../../../../src/apps/tcp/discard-handlers.js';
import { EchoHandlers } from '../../../../../src/apps/tcp/echo-handlers.js';
import { HeldBytes } from '../../../../../src/apps/tcp/held-bytes.js';
import { FakeWire, PlainPeer } from '../../../../support/apps/fake-wire.js';

const bytesOf = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8)));

describe('tcp-echo', () => {
  it.each([
    ['large', 65_536, 65_536],
    ['small', 1000, 1460],
    ['tiny', 3, 7],
  ])('sends everything back through a %s send buffer', (_name, sendBuffer, piece) => {
    const wire = new FakeWire({ sendBuffer, piece: () => piece });
    const handlers = new EchoHandlers();
    wire.tcp.listen({ port: 7 }, handlers);
    const peer = new PlainPeer(wire, 7);
    const all = bytesOf(20_000);
    let sent = 0;
    while (sent < all.length) {
      sent += peer.c.write(all, sent);
      wire.run();
    }
    peer.c.end();
    wire.run();
    expect(peer.received.equals(all)).toBe(true);
    expect(peer.isClosed).toBe(true);
    expect(peer.error).toBeNull();
    expect(handlers.report()).toMatchObject({ echo_connections: 1, echo_bytes: 20_000 });
  });

  it('pauses a peer that does not read, and keeps one piece of what it sent', () => {
    const wire = new FakeWire({ sendBuffer: 1000, piece: () => 600 });
    const handlers = new EchoHandlers();
    wire.tcp.listen({ port: 7 }, handlers);
    const peer = new PlainPeer(wire, 7);
    peer.c.pause();
    const all = bytesOf(6000);
    let sent = 0;
    for (let i = 0; i < 20; i++) {
      sent += peer.c.write(all, sent);
      wire.run();
    }
    // 1000 bytes wait in the send buffer of each side, and one piece beside them.
    expect(sent).toBe(1000 + 600 + 1000);
    expect(handlers.report().echo_pauses).toBe(1);
    peer.c.resume();
    for (let i = 0; i < 20; i++) {
      sent += peer.c.write(all, sent);
      wire.run();
    }
    peer.c.end();
    wire.run();
    expect(peer.received.equals(all)).toBe(true);
    expect(peer.isClosed).toBe(true);
  });

  it('forgets what it kept when the peer resets', () => {
    const wire = new FakeWire({ sendBuffer: 100 });
    wire.tcp.listen({ port: 7 }, new EchoHandlers());
    for (let i = 0; i < 3; i++) {
      const peer = new PlainPeer(wire, 7);
      peer.c.pause();
      peer.c.write(bytesOf(100));
      wire.run();
      peer.c.write(bytesOf(50));
      wire.run();
      peer.c.abort();
      wire.run();
      const next = new PlainPeer(wire, 7);
      next.c.write(bytesOf(9));
      wire.run();
      expect(next.received.equals(bytesOf(9))).toBe(true);
    }
  });
});

describe('discard', () => {
  it('counts what it reads, and ends with the peer', () => {
    const wire = new FakeWire();
    const handlers = new DiscardHandlers();
    wire.tcp.listen({ port: 9 }, handlers);
    const peer = new PlainPeer(wire, 9);
    peer.c.write(bytesOf(5000));
    peer.c.end();
    wire.run();
    expect(peer.isClosed).toBe(true);
    expect(peer.received).toHaveLength(0);
    expect(handlers.report()).toEqual({ discard_connections: 1, discard_bytes: 5000 });
  });
});

describe('bytes that wait', () => {
  it('come out as they went in, whatever is appended and skipped', () => {
    const held = new HeldBytes();
    let put = 0;
    let taken = 0;
    for (let turn = 0; turn < 2000; turn++) {
      const length = (turn * 7919) % 3000;
      const bytes = Uint8Array.from({ length: length + 2 }, (_, i) => put + i - 1);
      held.append(bytes, 1, length);
      put += length;
      const skip = Math.min(held.length, (turn * 104_729) % (turn % 50 === 0 ? 40_000 : 3000));
      for (let i = 0; i < skip; i++) {
        if (held.bytes[held.start + i] !== ((taken + i) & 0xff)) throw new Error(`wrong byte ${taken + i}`);
      }
      taken += skip;
      held.skipTo(held.start + skip);
      expect(held.length).toBe(put - taken);
    }
    held.clear();
    expect(held.bytes).toHaveLength(0);
  });
});
