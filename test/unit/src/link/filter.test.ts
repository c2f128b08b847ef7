import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameCapacity } from '../../../../rings/buffer-pool.js';
import { L2, L2_COUNTERS } from '../../../../src/counters.js';
import { Filter } from '../../../../src/link/filter.js';
import { Host, hostMemory } from '../../../../src/link/host.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { ETH_HEADER_BYTES, macWords } from '../../../../src/wire/ethernet.js';
import { ipv4TotalLength } from '../../../../src/wire/ipv4.js';
import { arp, BROADCAST, ethernet, ipv4, OTHER_MAC, OUR_IP, OUR_MAC, PEER_MAC } from '../../../support/link/frames.js';
import { countersOf, expectEveryFrameCounted, expectNoBufferLost, makeCore } from '../../../support/link/test-core.js';

const group = [1, 0, 0x5e, 0, 0, 1];

/**
 * Where cores have queues, rx-main-loop.ts decides what happens to packets that the filter has let through. What happens
 * without an address is tested in set-address.test.ts.
 */
const NOT_THE_FILTERS: readonly string[] = [
  ...[
    'rx_drop_queue_full',
    'rx_drop_core_share',
    'rx_drop_core_gone',
    'rx_drop_chain',
    'rx_drop_no_address',
    'rx_drop_chain',
  ],
];

/** One frame per reason, and the counter that must count it. */
const REASONS: readonly (readonly [string, Uint8Array, number?])[] = [
  ['rx_delivered', ethernet(ipv4([1]))],
  ['rx_delivered', ethernet(ipv4([1], { options: [1, 1, 1, 0] }))],
  ['rx_delivered', ethernet(ipv4([]))],
  ['rx_arp', arp()],
  ['rx_drop_runt', ethernet([]).slice(0, 13)],
  ['rx_drop_runt', new Uint8Array(0)],
  ['rx_drop_too_long', ethernet(ipv4([1])), frameCapacity(11) + 1],
  ['rx_drop_other_mac', ethernet(ipv4([1]), { destination: OTHER_MAC })],
  ['rx_drop_other_mac', ethernet([...arp().slice(14)], { destination: OTHER_MAC, type: 0x0806 })],
  ['rx_drop_source_mac', ethernet(ipv4([1]), { source: group })],
  ['rx_drop_own_source', ethernet(ipv4([1]), { source: OUR_MAC, destination: BROADCAST })],
  ['rx_drop_vlan', ethernet([0, 7, 8, 0, ...ipv4([1])], { type: 0x8100 })],
  ['rx_drop_vlan', ethernet([0, 7, 8, 0, ...ipv4([1])], { type: 0x88a8 })],
  ['rx_drop_ipv6', ethernet(new Array(40).fill(0x60), { type: 0x86dd })],
  ['rx_drop_llc', ethernet([0x42, 0x42, 3], { destination: group, type: 38 })],
  ['rx_drop_ethertype', ethernet([1, 2, 3], { type: 0x88cc })],
  ['rx_drop_ip_short', ethernet(ipv4([]).slice(0, 19))],
  ['rx_drop_ip_short', ethernet([])],
  ['rx_drop_ip_version', ethernet(ipv4([1], { version: 6 }))],
  ['rx_drop_ip_header_length', ethernet(ipv4([1], { headerWords: 4 }))],
  ['rx_drop_ip_header_length', ethernet(ipv4([1], { headerWords: 6 }))],
  ['rx_drop_ip_header_length', ethernet(ipv4([1], { totalLength: 19 }))],
  ['rx_drop_ip_total_length', ethernet(ipv4([1], { totalLength: 22 }))],
  ['rx_drop_ip_total_length', ethernet(ipv4([1], { totalLength: 0xffff }))],
  ['rx_drop_bad_source', ethernet(ipv4([1], { source: '10.0.0.1' }))],
  ['rx_drop_bad_source', ethernet(ipv4([1], { source: '10.0.0.255' }))],
  ['rx_drop_bad_source', ethernet(ipv4([1], { source: '255.255.255.255' }))],
  ['rx_drop_bad_source', ethernet(ipv4([1], { source: '224.0.0.5' }))],
  ['rx_drop_bad_source', ethernet(ipv4([1], { source: '127.0.0.1' }))],
  ['rx_drop_bad_source', ethernet(ipv4([1], { source: '0.0.0.0' }))],
  ['rx_drop_link_broadcast', ethernet(ipv4([1]), { destination: BROADCAST })],
  ['rx_drop_broadcast', ethernet(ipv4([1], { destination: '255.255.255.255' }), { destination: BROADCAST })],
  ['rx_drop_broadcast', ethernet(ipv4([1], { destination: '10.0.0.255' }), { destination: BROADCAST })],
  ['rx_drop_multicast', ethernet(ipv4([1], { destination: '224.0.0.251' }), { destination: group })],
  ['rx_drop_other_ip', ethernet(ipv4([1], { destination: '10.0.0.9' }))],
];

describe('filter', () => {
  const cases = REASONS.map(([counter, frame, length]) => ({ counter, frame, length }));

  // Clauses: 1122-3.2.1.1a, 1122-3.2.1.3b, 1122-3.2.1.3c, 1122-3.3.6c, 1122-4.1.3.6a
  it.each(cases)('$counter', ({ counter, frame, length }) => {
    const t = makeCore();
    t.device.inject(frame, length);
    const delivered = counter === 'rx_delivered' ? 1 : 0;
    expect(t.core.getRxCount()).toBe(delivered);
    const counters = t.core.counters();
    const counted = L2_COUNTERS.filter(
      (name) => name.startsWith('rx_') && name !== 'rx_frames' && counters[name] !== 0,
    );
    expect(counted).toEqual([counter]);
    expect(countersOf(t)[counter]).toBe(1);
    expectNoBufferLost(t);
  });

  it('has a test for every reason', () => {
    const reasons = L2_COUNTERS.filter((name) => name.startsWith('rx_drop_') && !NOT_THE_FILTERS.includes(name));
    expect(new Set(REASONS.map(([counter]) => counter))).toEqual(new Set([...reasons, 'rx_delivered', 'rx_arp']));
  });

  // Clauses: 1122-3.3.6a
  it('passes on broadcast and multicast if wanted', () => {
    const t = makeCore({ acceptBroadcast: true, acceptMulticast: true });
    t.device.inject(ethernet(ipv4([1], { destination: '255.255.255.255' }), { destination: BROADCAST }));
    t.device.inject(ethernet(ipv4([1], { destination: '10.0.0.255' }), { destination: BROADCAST }));
    t.device.inject(ethernet(ipv4([1], { destination: '224.0.0.251' }), { destination: group }));
    expect(t.core.getRxCount()).toBe(3);
  });

  it('knows no broadcast address in a /31', () => {
    const t = makeCore({ prefixLength: 31 });
    t.device.inject(ethernet(ipv4([1], { source: '10.0.0.0' })));
    expect(t.core.getRxCount()).toBe(1);
  });

  it('notices a twin: an IP packet with our MAC address and another IP address', () => {
    const t = makeCore();
    t.device.inject(ethernet(ipv4([1], { source: '10.0.0.77' }), { source: OUR_MAC, destination: BROADCAST }));
    t.device.inject(ethernet(ipv4([1], { source: '10.0.0.1' }), { source: OUR_MAC, destination: BROADCAST }));
    t.core.getRxCount();
    const { arp_conflict_mac, rx_drop_own_source } = t.core.counters();
    expect([arp_conflict_mac, rx_drop_own_source]).toEqual([1, 2]);
    expect(t.warnings).toEqual([expect.stringContaining('52:54:00:00:00:01 is also used by the station 10.0.0.77')]);
  });
});

describe('hostile frames', () => {
  const any = fc.uint8Array({ maxLength: 120 });
  /** Random bytes are dropped early. So most frames get a right MAC address, and some a right EtherType and version. */
  const nearly = fc
    .tuple(
      fc.constantFrom(OUR_MAC, BROADCAST, OTHER_MAC),
      fc.constantFrom(PEER_MAC, OUR_MAC, BROADCAST),
      fc.constantFrom(0x0800, 0x0806, 0x8100, 0x86dd, 5),
      fc.oneof(
        any,
        any.map((bytes) => Uint8Array.from(ipv4([...bytes]))),
        fc.constant(arp().slice(14)),
      ),
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }),
      fc.nat(20),
    )
    .map(([destination, source, type, payload, damage, cut]) => {
      const frame = ethernet([...payload], { destination, source, type });
      for (const [place, value] of damage) if (place < frame.length) frame[place] = value;
      return frame.slice(0, Math.max(0, frame.length - cut));
    });

  it.each(['ip', 'ethernet'] as const)(
    'layer %s: none throws, loses a buffer, or is missing from the counters',
    (layer) => {
      fc.assert(
        fc.property(fc.array(fc.oneof(any, nearly), { maxLength: 60 }), (received) => {
          const t = makeCore({ layer, acceptBroadcast: true }, { buffers: 128 });
          for (const frame of received) t.device.inject(frame);
          for (let i = 0; i < 4; i++) {
            for (let count = t.core.getRxCount(); count > 0; count--) {
              const buffer = t.core.getBufferRx()!;
              expect(buffer.length).toBeLessThanOrEqual(buffer.capacity);
              t.core.release(buffer);
            }
            t.pass(2000);
          }
          expect(t.core.counters().rx_frames).toBe(received.length);
          expectEveryFrameCounted(t);
          expectNoBufferLost(t);
        }),
      );
    },
  );
});

describe('the quick check for an expected packet', () => {
  const START = 62;
  const memory = (() => {
    const room = new ArrayBuffer(2048);
    return { u8: new Uint8Array(room), u16: new Uint16Array(room), u32: new Uint32Array(room) };
  })();
  const mac = macWords(Uint8Array.from(OUR_MAC));
  const hosts = [24, 31, 0].map((prefixLength) => {
    const host = new Host({ ...hostMemory(), mac });
    host.set({ address: parseIpv4(OUR_IP), prefixLength });
    return host;
  });
  const options = { acceptBroadcast: true, acceptMulticast: true, maxFrame: 1000 };
  const filters = hosts.map((host) => new Filter(memory, host, options));

  function both(frame: Uint8Array, length: number): { bytes: number; verdict: number; total: number }[] {
    memory.u8.fill(0xee);
    memory.u8.set(frame, START);
    const total = ipv4TotalLength(memory.u8, START + ETH_HEADER_BYTES);
    return filters.map((filter) => {
      return { bytes: filter.plainPacketBytes(START, length), verdict: filter.counterOf(START, length), total };
    });
  }

  it('passes a packet without options from a station to us', () => {
    for (const payload of [[], [1], new Array(900).fill(7)]) {
      const frame = ethernet(ipv4(payload));
      expect(both(frame, frame.length)[0]).toEqual({
        bytes: 20 + payload.length,
        verdict: L2.rx_delivered,
        total: 20 + payload.length,
      });
    }
  });

  it('passes nothing that the filter would not, whatever changes in such a frame', () => {
    const sound = ethernet(ipv4([1, 2, 3, 4]));
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(...OUR_MAC, 0x45, 0x46, 8, 6, 10, 127, 224),
    );
    const changes = fc.array(fc.tuple(fc.integer({ min: 0, max: 33 }), byte), { maxLength: 3 });
    fc.assert(
      fc.property(changes, fc.integer({ min: 0, max: 1100 }), fc.boolean(), (changed, other, isCut) => {
        const frame = Uint8Array.from(sound);
        for (const [at, value] of changed) frame[at] = value;
        for (const { bytes, verdict, total } of both(frame, isCut ? other : frame.length)) {
          if (bytes !== 0) expect([verdict, bytes]).toEqual([L2.rx_delivered, total]);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
