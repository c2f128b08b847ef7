/** The short cut for packets to the destination of the last one: whatever changes, the header is right. */
import { describe, expect, it } from 'vitest';
import type { BaseCore } from '../../../../src/link/base-core.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { arpReply, OTHER_MAC, OUR_IP, OUR_MAC, PEER_IP, PEER_MAC } from '../../../support/link/frames.js';
import {
  countersOf,
  EITHER_CORE,
  expectNoBufferLost,
  learnPeer,
  makeCore,
  packetsOf,
  packetTo,
  receive,
  type TestCore,
} from '../../../support/link/test-core.js';

const OTHER_IP = '10.0.0.3';
const FAR_IP = '192.0.2.1';
const NEW_IP = '10.0.0.77';

/** Sends `count` packets, and returns the headers that they left with. */
function headersOf(t: TestCore<BaseCore>, destination: string, count = 3): number[][] {
  const before = packetsOf(t).length;
  for (let i = 0; i < count; i++) expect(t.core.addBufferToRing(packetTo(t.core, destination))).toBe(true);
  t.core.flush();
  return packetsOf(t)
    .slice(before)
    .map((frame) => [...frame.subarray(0, 14)]);
}

const headers = (to: number[], from = OUR_MAC, count = 3): number[][] =>
  Array.from({ length: count }, () => [...to, ...from, 8, 0]);

describe.each(EITHER_CORE)('packets to one destination through %s', (_, make) => {
  it('have the same header, also when others go between them', () => {
    const t = make();
    learnPeer(t);
    receive(t, arpReply(OTHER_IP, OTHER_MAC));
    learnPeer(t);
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    expect(headersOf(t, '255.255.255.255', 1)).toEqual(headers([255, 255, 255, 255, 255, 255], OUR_MAC, 1));
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    expectNoBufferLost(t);
  });

  it('go to the new MAC address of a neighbour that moved', () => {
    const t = make();
    learnPeer(t);
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    receive(t, arpReply(PEER_IP, OTHER_MAC));
    expect(headersOf(t, PEER_IP)).toEqual(headers(OTHER_MAC));
  });

  it('go to the new MAC address of a neighbour that moved while others were sent', () => {
    const t = make();
    learnPeer(t);
    learnPeer(t, OTHER_IP);
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    expect(headersOf(t, OTHER_IP, 1)).toEqual(headers(PEER_MAC, OUR_MAC, 1));
    receive(t, arpReply(PEER_IP, OTHER_MAC));
    expect(headersOf(t, PEER_IP)).toEqual(headers(OTHER_MAC));
  });

  it('are dropped when they have no destination, whatever was sent before', () => {
    const t = make();
    expect(headersOf(t, '0.0.0.0', 2)).toEqual([]);
    learnPeer(t);
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    expect(headersOf(t, '0.0.0.0', 2)).toEqual([]);
    expect(countersOf(t).tx_drop_no_route).toBe(4);
    expectNoBufferLost(t);
  });
});

describe('packets to one destination', () => {
  const neighbours = new Map([
    [parseIpv4(PEER_IP), Uint8Array.from(PEER_MAC)],
    [parseIpv4(OTHER_IP), Uint8Array.from(OTHER_MAC)],
  ]);

  it('have their own neighbour, in whatever order they come', () => {
    const t = makeCore({ neighbours });
    const expected: number[][] = [];
    for (let round = 0; round < 64; round++) {
      // All orders of six packets to two neighbours.
      for (let i = 0; i < 6; i++) {
        const isPeer = ((round >>> i) & 1) === 0;
        expected.push(...headers(isPeer ? PEER_MAC : OTHER_MAC, OUR_MAC, 1));
        t.core.addBufferToRing(packetTo(t.core, isPeer ? PEER_IP : OTHER_IP));
      }
      t.core.flush();
      t.device.complete();
    }
    expect(packetsOf(t).map((frame) => [...frame.subarray(0, 14)])).toEqual(expected);
  });

  it('take another gateway at once', () => {
    const t = makeCore({ neighbours, gateway: parseIpv4(PEER_IP) });
    expect(headersOf(t, FAR_IP)).toEqual(headers(PEER_MAC));
    const host = { address: parseIpv4(OUR_IP), prefixLength: 24, gateway: parseIpv4(OTHER_IP) };
    t.core.setAddress({ host, lease: null, reason: 'test' });
    expect(headersOf(t, FAR_IP)).toEqual(headers(OTHER_MAC));
  });

  it('are dropped when our address goes, and when the destination becomes our own', () => {
    const t = makeCore({ neighbours });
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    t.core.setAddress({ host: { address: 0, prefixLength: 24 }, lease: null, reason: 'test' });
    expect(headersOf(t, PEER_IP)).toEqual([]);
    t.core.setAddress({ host: { address: parseIpv4(NEW_IP), prefixLength: 24 }, lease: null, reason: 'test' });
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    t.core.setAddress({ host: { address: parseIpv4(PEER_IP), prefixLength: 24 }, lease: null, reason: 'test' });
    expect(headersOf(t, PEER_IP)).toEqual([]);
    expect(t.core.counters()).toMatchObject({ tx_drop_no_route: 3, tx_drop_to_self: 3 });
  });

  it('come from the new MAC address of a device that came back with another one', () => {
    const t = makeCore({ neighbours });
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC));
    t.device.mac.set(OTHER_MAC);
    t.core.announce();
    expect(headersOf(t, PEER_IP)).toEqual(headers(PEER_MAC, OTHER_MAC));
  });
});
