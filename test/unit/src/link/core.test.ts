import { describe, expect, it } from 'vitest';
import { frameCapacity } from '../../../../rings/buffer-pool.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { ethernet, ipv4, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC } from '../../../support/link/frames.js';
import {
  countersOf,
  EITHER_CORE,
  expectEveryFrameCounted,
  expectNoBufferLost,
  learnPeer,
  makeCore,
  packetTo,
} from '../../../support/link/test-core.js';

const frame = (n: number): Uint8Array => ethernet(ipv4([n & 0xff, n >>> 8]));

describe.each(EITHER_CORE)('%s', (_, make) => {
  describe('receiving', () => {
    it('says how many packets wait, and gives them out in order', () => {
      const t = make();
      for (let n = 0; n < 5; n++) t.device.inject(frame(n));
      expect(t.core.getRxCount()).toBe(5);
      for (let n = 0; n < 5; n++) {
        const buffer = t.core.getBufferRx()!;
        expect(buffer.length).toBe(22);
        expect(buffer.bytes[20]).toBe(n);
        expect(t.core.memory.u8[buffer.offset]).toBe(0x45);
        t.core.release(buffer);
      }
      expect(t.core.getBufferRx()).toBeNull();
      expectNoBufferLost(t);
    });

    it('counts packets again that were not fetched', () => {
      const t = make();
      for (let n = 0; n < 100; n++) t.device.inject(frame(n));
      expect(t.core.getRxCount()).toBe(32);
      expect(t.core.getRxCount()).toBe(32);
      const seen: number[] = [];
      for (let total = t.core.getRxCount(); total > 0; total = t.core.getRxCount()) {
        for (let i = 0; i < Math.min(total, 7); i++) {
          const buffer = t.core.getBufferRx()!;
          seen.push(buffer.bytes[20]!);
          t.core.release(buffer);
        }
      }
      expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n));
      expectNoBufferLost(t);
      expectEveryFrameCounted(t);
    });

    it("trims Ethernet's padding: the length is that of the IP packet", () => {
      const t = make();
      t.device.inject(ethernet([...ipv4([1, 2, 3]), ...new Array(23).fill(0)]));
      t.core.getRxCount();
      expect(t.core.getBufferRx()!.length).toBe(23);
    });

    it('aligns the IP header to four bytes', () => {
      const t = make();
      t.device.inject(frame(1));
      t.core.getRxCount();
      expect(t.core.getBufferRx()!.offset % 4).toBe(0);
    });
  });

  describe('sending', () => {
    it('writes the Ethernet header in front', () => {
      const t = make();
      learnPeer(t);
      const buffer = packetTo(t.core, PEER_IP);
      const packet = [...buffer.bytes.subarray(0, buffer.length)];
      expect(t.core.addBufferToRing(buffer)).toBe(true);
      t.core.flush();
      expect(t.device.frames).toEqual([Uint8Array.from([...PEER_MAC, ...OUR_MAC, 8, 0, ...packet])]);
      expectNoBufferLost(t);
    });

    it('sends in bursts: at 32 packets, at getRxCount and at flush', () => {
      const t = make();
      learnPeer(t);
      for (let n = 0; n < 31; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [n]));
      expect(t.device.txBursts).toEqual([]);
      t.core.addBufferToRing(packetTo(t.core, PEER_IP, [31]));
      expect(t.device.txBursts).toEqual([32]);
      t.core.addBufferToRing(packetTo(t.core, PEER_IP, [32]));
      t.core.getRxCount();
      t.core.addBufferToRing(packetTo(t.core, PEER_IP, [33]));
      t.core.flush();
      expect(t.device.txBursts).toEqual([32, 1, 1]);
      expect(t.device.frames.map((sent) => sent[34])).toEqual(Array.from({ length: 34 }, (_, n) => n));
    });

    it.each([
      ['shorter than an IP header', 19, 'tx_drop_length'],
      ['longer than the MTU', 1501, 'tx_drop_length'],
      ['of no length at all', Number.NaN, 'tx_drop_length'],
    ])('drops and counts a packet that is %s', (_, length, counter) => {
      const t = make();
      learnPeer(t);
      const buffer = packetTo(t.core, PEER_IP);
      buffer.length = length;
      expect(t.core.addBufferToRing(buffer)).toBe(true);
      t.core.flush();
      expect(t.device.frames).toEqual([]);
      expect(countersOf(t)[counter]).toBe(1);
      expectNoBufferLost(t);
    });

    it('drops and counts what is not IPv4', () => {
      const t = make();
      const buffer = packetTo(t.core, PEER_IP);
      buffer.bytes[0] = 0x65;
      expect(t.core.addBufferToRing(buffer)).toBe(true);
      expect(t.core.counters().tx_drop_version).toBe(1);
      expectNoBufferLost(t);
    });

    it('never sends more than the device, the buffers and the configuration allow', () => {
      expect(make({ mtu: 9000 }).core.mtu).toBe(1500);
      expect(make({ mtu: 9000 }, { mtu: 9000, bufferShift: 11 }).core.mtu).toBe(frameCapacity(11) - 14);
      expect(make({ mtu: 576 }).core.mtu).toBe(576);
    });
  });

  describe('what a stack learns of its link', () => {
    it('tells the time of the clock of the port', () => {
      const t = make();
      const before = t.core.now();
      t.time.now += 2.25;
      expect(t.core.now()).toBe(before + 2.25);
      expect(t.core.now()).toBe(t.time.now);
    });

    it.each([
      ['255.255.255.255', true],
      ['10.0.0.255', true],
      ['10.0.0.0', false],
      ['10.0.1.255', false],
      [OUR_IP, false],
      [PEER_IP, false],
      ['224.0.0.1', false],
    ])('knows whether %s is a broadcast address: %s', (address, expected) => {
      const { core } = make();
      expect(core.isBroadcast(parseIpv4(address))).toBe(expected);
      expect(core.isBroadcast(parseIpv4(address) | 0)).toBe(expected);
    });
  });

  describe('ownership', () => {
    it('notices a buffer released twice, sent after release, or released after sending', () => {
      const t = make();
      learnPeer(t);
      const released = t.core.getBufferTx()!;
      t.core.release(released);
      expect(() => t.core.release(released)).toThrow(/release: buffer \d+ is not yours/);
      expect(() => t.core.addBufferToRing(released)).toThrow(/addBufferToRing: buffer \d+ is not yours/);
      const sent = packetTo(t.core, PEER_IP);
      t.core.addBufferToRing(sent);
      expect(() => t.core.release(sent)).toThrow(/not yours/);
      const foreign = make().core.getBufferTx()!;
      expect(() => t.core.release(foreign)).toThrow(/release: buffer \d+ belongs to another port/);
      expect(() => t.core.addBufferToRing(foreign)).toThrow(/belongs to another port/);
      t.core.flush();
      expectNoBufferLost(t);
    });

    it('sends a received packet in its own buffer', () => {
      const t = make();
      learnPeer(t);
      t.device.inject(frame(7));
      t.core.getRxCount();
      const buffer = t.core.getBufferRx()!;
      buffer.bytes.set(ipv4([9], { source: '10.0.0.1', destination: PEER_IP }));
      buffer.length = 21;
      t.core.addBufferToRing(buffer);
      t.core.flush();
      expect(t.device.frames[0]![34]).toBe(9);
      expectNoBufferLost(t);
    });

    it('makes one object per buffer, and its bytes cover exactly its room', () => {
      const t = make({}, { buffers: 64 });
      const first = t.core.getBufferTx()!;
      const bytes = first.bytes;
      t.core.release(first);
      const again = t.core.getBufferTx()!;
      expect(again).toBe(first);
      expect(again.bytes).toBe(bytes);
      expect(bytes.byteOffset).toBe(first.offset);
      expect(bytes.length).toBe(frameCapacity(11) - 14);
      expect(again.length).toBe(0);
    });
  });

  describe('layer ethernet', () => {
    it('gives out every frame as it is, and sends frames as they are', () => {
      const t = make({ layer: 'ethernet' });
      const tagged = ethernet([0, 1, 8, 0, 1, 2, 3], { destination: PEER_MAC, type: 0x8100 });
      t.device.inject(tagged);
      expect(t.core.getRxCount()).toBe(1);
      const buffer = t.core.getBufferRx()!;
      expect(buffer.bytes.subarray(0, buffer.length)).toEqual(tagged);
      expect(t.core.addBufferToRing(buffer)).toBe(true);
      t.core.flush();
      expect(t.device.frames).toEqual([tagged]);
      expectNoBufferLost(t);
      expectEveryFrameCounted(t);
    });

    it('still drops what cannot be a frame', () => {
      const t = make({ layer: 'ethernet' });
      t.device.inject(Uint8Array.of(1, 2, 3));
      t.device.inject(frame(1), 5000);
      expect(t.core.getRxCount()).toBe(0);
      const { rx_drop_runt, rx_drop_too_long } = countersOf(t);
      expect([rx_drop_runt, rx_drop_too_long]).toEqual([1, 1]);
      expectNoBufferLost(t);
    });

    it('lets frames of at most the MTU and 14 bytes through', () => {
      const t = make({ layer: 'ethernet' });
      for (const length of [1514, 1515, 13]) {
        const buffer = t.core.getBufferTx()!;
        buffer.length = length;
        t.core.addBufferToRing(buffer);
      }
      t.core.flush();
      expect(t.device.frames.map((sent) => sent.length)).toEqual([1514]);
      expect(t.core.counters().tx_drop_length).toBe(2);
    });
  });
});

describe('with the vNIC: receiving', () => {
  it('polls once, and not while a burst waits', () => {
    const t = makeCore();
    for (let n = 0; n < 100; n++) t.device.inject(frame(n));
    expect(t.core.getRxCount()).toBe(32);
    expect(t.device.rxPolls).toBe(1);
    expect(t.core.getRxCount()).toBe(32);
    expect(t.device.rxPolls).toBe(1);
  });

  it('takes sent buffers back when the pool is empty, so that receiving goes on', () => {
    const t = makeCore({}, { buffers: 64 });
    const sent: number[] = [];
    while (t.device.pool.available > 8) sent.push(t.device.pool.get());
    t.device.reclaimTx = () => {
      for (const handle of sent.splice(0)) t.device.pool.put(handle);
    };
    t.core.getRxCount();
    expect(t.device.pool.available).toBe(64);
  });
});

describe('with the vNIC: sending', () => {
  it('returns the buffer to the caller when the ring is full, and loses nothing', () => {
    const t = makeCore({}, { txRing: 40, holdTx: true });
    learnPeer(t);
    t.device.complete();
    let sent = 0;
    let buffer = packetTo(t.core, PEER_IP, [0]);
    while (t.core.addBufferToRing(buffer)) buffer = packetTo(t.core, PEER_IP, [++sent]);
    // 40 in the ring, 32 in the burst.
    expect(sent).toBe(72);
    expect(t.core.counters().tx_ring_full).toBe(1);
    expectNoBufferLost(t, 1);
    t.device.complete();
    expect(t.core.addBufferToRing(buffer)).toBe(true);
    t.core.flush();
    t.device.complete();
    t.core.flush();
    t.device.complete();
    expect(t.device.frames.map((frame) => frame[34])).toEqual(Array.from({ length: 73 }, (_, n) => n));
    expectNoBufferLost(t);
  });

  it('keeps a reserve of buffers for receiving and ARP: getBufferTx stops there', () => {
    const t = makeCore({}, { buffers: 256 });
    let taken = 0;
    while (t.core.getBufferTx() !== null) taken++;
    expect(taken).toBe(256 - 32);
    expect(t.device.pool.available).toBe(32);
    expect(t.core.counters().tx_no_buffer).toBe(1);
  });

  it('sends what it has collected when no buffer is free', () => {
    const t = makeCore({}, { buffers: 64 });
    learnPeer(t);
    for (let n = 0; n < 5; n++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [n]));
    expect(t.device.frames).toEqual([]);
    while (t.core.getBufferTx() !== null);
    expect(t.device.frames.map((sent) => sent[34])).toEqual([0, 1, 2, 3, 4]);
  });

  it('takes sent buffers back before it says that no buffer is free', () => {
    const t = makeCore({}, { buffers: 64 });
    let reclaimed = 0;
    const held = [t.device.pool.get(), t.device.pool.get()];
    t.device.reclaimTx = () => {
      reclaimed++;
      for (const handle of held.splice(0)) t.device.pool.put(handle);
    };
    let taken = 0;
    while (t.core.getBufferTx() !== null) taken++;
    expect(taken).toBe(64 - 8);
    expect(reclaimed).toBe(2);
  });

  it('drops what is still to be sent when the link goes, and sends when it is back', () => {
    const t = makeCore();
    learnPeer(t);
    t.device.isUp = false;
    for (let n = 0; n < 50; n++) expect(t.core.addBufferToRing(packetTo(t.core, PEER_IP))).toBe(true);
    t.core.flush();
    expect(t.core.counters().tx_lost_link_down).toBe(50);
    expectNoBufferLost(t);
    t.device.isUp = true;
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.device.frames).toHaveLength(1);
  });

  it('frees nothing twice when the device fails in a burst and its handler flushes', () => {
    const t = makeCore();
    learnPeer(t);
    t.device.txBurst = () => {
      t.device.isUp = false;
      t.core.flush();
      return 0;
    };
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.core.counters().tx_lost_link_down).toBe(1);
    expectNoBufferLost(t);
  });
});

describe('with the vNIC: addresses', () => {
  it.each([30, 31, 32])('a /%i has a broadcast address of its own only when it is a /30', (prefixLength) => {
    const { core } = makeCore({ address: parseIpv4('10.0.0.2'), prefixLength });
    expect(core.isBroadcast(parseIpv4('10.0.0.3'))).toBe(prefixLength === 30);
    expect(core.isBroadcast(parseIpv4('255.255.255.255'))).toBe(true);
  });
});

describe('with the vNIC: counters', () => {
  it("has the device's counters beside those of the layer", () => {
    const t = makeCore();
    t.device.counters = () => ({ tx_packets: 3, rx_packets: 77 });
    expect(t.core.counters()).toMatchObject({ tx_packets: 3, rx_packets: 77, rx_frames: 0 });
  });
});
