/** The DHCP client against a scripted server, in virtual time: RFC 2131, 4.4, and servers that do not behave. */
import { describe, expect, it } from 'vitest';
import { DhcpClient } from '../../../../../src/link/dhcp/client.js';
import type { AddressChange } from '../../../../../src/link/dhcp/lease.js';
import { formatIpv4 } from '../../../../../src/wire/address.js';
import {
  ACK,
  type Answer,
  answer,
  DECLINE,
  DISCOVER,
  type FromClient,
  NAK,
  OFFER,
  RELEASE,
  REQUEST,
  readClient,
  SERVER_IP,
} from '../../../../support/link/dhcp-server.js';
import { OUR_MAC } from '../../../../support/link/frames.js';

interface Sent extends FromClient {
  at: number;
  /** `source > destination`. */
  way: string;
}

/** A client, and a server that does what the test says. */
class Lab {
  now = 0;
  /** What comes of each call for a random number: 0.5 of its range, and a counter for the number of an exchange. */
  private randoms = 0;
  readonly sent: Sent[] = [];
  readonly probes: number[] = [];
  readonly changes: string[] = [];
  readonly warnings: string[] = [];
  readonly failures: string[] = [];
  last: AddressChange | null = null;
  readonly client: DhcpClient;

  constructor() {
    const transport = {
      mac: Uint8Array.from(OUR_MAC),
      send: (message: Uint8Array, source: number, destination: number) => {
        const way = `${formatIpv4(source)} > ${formatIpv4(destination)}`;
        this.sent.push({ ...readClient(message), at: Math.round(this.now), way });
      },
      probe: () => void this.probes.push(this.now),
    };
    this.client = new DhcpClient(transport, {
      hostName: 'lab',
      onAddress: (change) => {
        this.last = change;
        this.changes.push(`${formatIpv4(change.host.address)}: ${change.reason}`);
      },
      onFailure: (reason) => this.failures.push(`${Math.round(this.now)}: ${reason}`),
      warn: (line) => this.warnings.push(line),
      clock: () => this.now,
      random: () => 0x8000_0000 + this.randoms++,
    });
    this.client.start();
  }

  /** Lets time pass until `at`, event by event. */
  until(at: number): this {
    let turns = 0;
    for (let due = this.client.nextDeadline(); due <= at; due = this.client.nextDeadline()) {
      if (turns++ > 10_000) throw new Error('the client does not rest');
      this.now = Math.max(this.now, due);
      this.client.tick(this.now);
    }
    this.now = at;
    return this;
  }

  get latest(): Sent {
    return this.sent.at(-1)!;
  }

  /** The server answers the latest message. Returns whether the client has used the answer. */
  answers(type: number, fields: Partial<Answer> = {}): boolean {
    const bytes = answer({ type, xid: this.latest.xid, ...fields });
    return this.client.receive(bytes, 0, bytes.length);
  }

  /** The usual way to a lease, at the time that it is now. */
  lease(fields: Partial<Answer> = {}): this {
    this.answers(OFFER, fields);
    this.answers(ACK, fields);
    return this.until(this.now + 500);
  }

  types(): number[] {
    return this.sent.map(({ type }) => type);
  }
}

const option = (message: FromClient, code: number): string | undefined => message.options.get(code)?.join('.');

describe('the first lease', () => {
  it('takes DISCOVER, OFFER, REQUEST, ACK and three probes', () => {
    const lab = new Lab();
    expect(lab.latest).toMatchObject({ type: DISCOVER, at: 0, way: '0.0.0.0 > 255.255.255.255', ciaddr: '0.0.0.0' });
    expect(lab.answers(OFFER)).toBe(true);
    expect(lab.latest).toMatchObject({ type: REQUEST, way: '0.0.0.0 > 255.255.255.255', ciaddr: '0.0.0.0' });
    expect([option(lab.latest, 50), option(lab.latest, 54)]).toEqual(['10.0.0.57', SERVER_IP]);
    expect(lab.latest.xid).toEqual(lab.sent[0]!.xid);
    expect(lab.answers(ACK, { more: { 3: [10, 0, 0, 254] } })).toBe(true);
    expect([lab.changes, formatIpv4(lab.client.candidate)]).toEqual([[], '10.0.0.57']);
    lab.until(1000);
    expect(lab.probes).toEqual([0, 150, 300]);
    expect(lab.changes).toEqual(['10.0.0.57: leased from 10.0.0.9']);
    expect(lab.last!.lease).toEqual({
      ...{ address: '10.0.0.57', prefixLength: 24, server: SERVER_IP, router: '10.0.0.254' },
      ...{ dns: [], domain: null, mtu: null, seconds: 3600 },
    });
    expect(lab.client.candidate).toBe(0);
  });

  it('is asked for after 4, 8 and 16 s again, and given up after 30 s with one reason', () => {
    const lab = new Lab().until(100_000);
    expect(lab.sent.map(({ at, type, secs }) => [at, type, secs])).toEqual([
      [0, DISCOVER, 0],
      [4000, DISCOVER, 4],
      [12_000, DISCOVER, 12],
      [28_000, DISCOVER, 28],
    ]);
    expect(lab.failures).toEqual(['30000: no DHCP server has answered']);
    expect(lab.client.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    expect(lab.answers(OFFER)).toBe(false);
  });

  it('is asked for of the first server that offers, with the seconds of the DISCOVER', () => {
    const lab = new Lab().until(5000);
    lab.answers(OFFER, { server: '10.0.0.8', address: '10.0.0.30' });
    expect(lab.answers(OFFER)).toBe(false);
    expect(lab.latest).toMatchObject({ type: REQUEST, secs: 4 });
    expect(option(lab.latest, 54)).toBe('10.0.0.8');
    // The other server hears that it was not chosen, and its answers do not count.
    expect(lab.answers(ACK)).toBe(false);
    expect(lab.answers(NAK, { address: '0.0.0.0' })).toBe(false);
    expect(lab.answers(ACK, { server: '10.0.0.8', address: '10.0.0.30' })).toBe(true);
  });

  it('begins anew when the offer is not acknowledged', () => {
    const lab = new Lab();
    lab.answers(OFFER);
    lab.until(29_000);
    expect(lab.sent.map(({ at, type }) => [at, type])).toEqual([
      ...[
        [0, DISCOVER],
        [0, REQUEST],
        [4000, REQUEST],
        [12_000, REQUEST],
        [28_000, DISCOVER],
      ],
    ]);
    lab.until(31_000);
    expect(lab.failures).toEqual(['30000: 10.0.0.9 has made an offer, and has not acknowledged it']);
  });

  it('begins anew after a NAK, and waits longer after each', () => {
    const lab = new Lab();
    const nak = { address: '0.0.0.0', mask: null, lease: null, more: { 56: [...Buffer.from('gone')] } };
    for (let round = 0; round < 4; round++) {
      lab.answers(OFFER);
      expect(lab.answers(NAK, nak)).toBe(true);
      const before = lab.sent.length;
      while (lab.sent.length === before) lab.until(lab.client.nextDeadline());
    }
    expect(lab.sent.filter(({ type }) => type === DISCOVER).map(({ at }) => at)).toEqual([0, 0, 2000, 6000, 14_000]);
    expect(new Set(lab.sent.map(({ xid }) => xid.join())).size).toBe(5);
    lab.until(30_000);
    expect(lab.failures).toEqual(['30000: 10.0.0.9 has refused its own offer: gone']);
  });

  it('is declined when another station has it; the next one is asked for 10 s later', () => {
    const lab = new Lab();
    lab.answers(OFFER);
    lab.answers(ACK);
    lab.until(200);
    lab.client.conflict('52:54:00:00:00:99');
    expect(lab.latest).toMatchObject({ type: DECLINE, way: '0.0.0.0 > 255.255.255.255', ciaddr: '0.0.0.0' });
    expect([option(lab.latest, 50), option(lab.latest, 54)]).toEqual(['10.0.0.57', SERVER_IP]);
    const fault = '10.0.0.57, which 10.0.0.9 has leased to us, is used by the station 52:54:00:00:00:99';
    expect(lab.warnings).toEqual([`dhcp: ${fault}: declined`]);
    expect(lab.client.candidate).toBe(0);
    lab.client.conflict('52:54:00:00:00:99');
    lab.until(10_199);
    expect(lab.types()).toEqual([DISCOVER, REQUEST, DECLINE]);
    lab.until(10_200);
    expect(lab.latest.type).toBe(DISCOVER);
    lab.until(30_000);
    expect(lab.failures).toEqual([`30000: ${fault}`]);
    expect(lab.changes).toEqual([]);
  });

  it.each([
    ['an address of the network', { address: '10.0.0.0' }],
    ['the address of the server', { address: SERVER_IP }],
    ['a loopback address', { address: '127.0.0.1', mask: '255.0.0.0' }],
    ['no address of a server', { server: '0.0.0.0' }],
  ])('is not made of an offer with %s', (_, fields) => {
    const lab = new Lab();
    expect(lab.answers(OFFER, fields)).toBe(false);
    expect(lab.types()).toEqual([DISCOVER]);
    expect(lab.answers(OFFER)).toBe(true);
  });

  it.each([
    ['another address', { address: '10.0.0.58' }],
    ['no lease time', { lease: null }],
    ['a lease of a second', { lease: 1 }],
  ])('is not made of an acknowledgement with %s', (_, fields) => {
    const lab = new Lab();
    lab.answers(OFFER);
    expect(lab.answers(ACK, fields)).toBe(false);
    lab.until(3000);
    expect([lab.probes, lab.changes]).toEqual([[], []]);
    expect(lab.answers(ACK)).toBe(true);
  });

  it('ignores answers to others, of other kinds, and at other times', () => {
    const lab = new Lab();
    expect(lab.answers(ACK)).toBe(false);
    expect(lab.answers(NAK)).toBe(false);
    expect(lab.answers(OFFER, { xid: [1, 2, 3, 4] })).toBe(false);
    expect(lab.answers(OFFER, { mac: [...OUR_MAC.slice(0, 5), 9] })).toBe(false);
    expect(lab.answers(DISCOVER)).toBe(false);
    lab.lease();
    expect(lab.answers(ACK)).toBe(false);
    expect(lab.answers(NAK)).toBe(false);
    expect(lab.changes).toHaveLength(1);
  });
});

// Without luck, the client renews 1/16 before T1: the random numbers are 0.5.
const T1 = (seconds: number): number => (seconds * 1000 * 15) / 16;

describe('a lease', () => {
  it('is renewed at T1 by its server, and its times begin with the request', () => {
    const lab = new Lab().lease();
    lab.until(T1(1800) - 1);
    expect(lab.types()).toEqual([DISCOVER, REQUEST]);
    lab.until(T1(1800));
    expect(lab.latest).toMatchObject({ type: REQUEST, way: '10.0.0.57 > 10.0.0.9', ciaddr: '10.0.0.57' });
    expect([option(lab.latest, 50), option(lab.latest, 54)]).toEqual([undefined, undefined]);
    lab.now += 3000;
    expect(lab.answers(ACK, { lease: 7200 })).toBe(true);
    expect(lab.changes.slice(1)).toEqual(['10.0.0.57: renewed by 10.0.0.9']);
    expect(lab.probes).toHaveLength(3);
    const before = lab.sent.length;
    lab.until(2 * T1(1800) + T1(1800) - 1);
    expect(lab.sent).toHaveLength(before);
    lab.until(T1(1800) + T1(3600));
    expect(lab.sent).toHaveLength(before + 1);
  });

  it('is asked for again and again, then of all servers, until its end', () => {
    const lab = new Lab().lease().until(3_600_000);
    const renewing = lab.sent.filter(({ way }) => way === '10.0.0.57 > 10.0.0.9').map(({ at }) => at);
    const rebinding = lab.sent.filter(({ way }) => way === '10.0.0.57 > 255.255.255.255').map(({ at }) => at);
    expect(renewing.slice(0, 2)).toEqual([T1(1800), (T1(1800) + 3_150_000) / 2]);
    expect(rebinding.slice(0, 2)).toEqual([3_150_000, 3_375_000]);
    for (const times of [renewing, rebinding]) {
      for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(60_000);
    }
    expect([Math.max(...renewing) < 3_150_000, Math.max(...rebinding) < 3_600_000]).toEqual([true, true]);
    // All of RENEWING is one exchange, and all of REBINDING another.
    expect(new Set(lab.sent.map(({ xid }) => xid.join())).size).toBe(4);
    const reason = 'the lease of 10.0.0.57 has ended, and no server has renewed it';
    expect(lab.changes.slice(1)).toEqual([`0.0.0.0: ${reason}`]);
    expect(lab.warnings).toEqual([`dhcp: ${reason}; asking for another address`]);
    expect(lab.latest).toMatchObject({ type: DISCOVER, at: 3_600_000 });
    // From now on without a limit.
    lab.until(4_000_000);
    expect(lab.failures).toEqual([]);
    lab.lease({ address: '10.0.0.58' });
    expect(lab.changes.at(-1)).toBe('10.0.0.58: leased from 10.0.0.9');
  });

  it('is rebound by another server', () => {
    const lab = new Lab().lease().until(3_150_000);
    expect(lab.answers(ACK, { server: '10.0.0.8' })).toBe(true);
    expect(lab.changes.slice(1)).toEqual(['10.0.0.57: renewed by 10.0.0.8']);
    lab.until(3_150_000 + T1(1800));
    expect(lab.latest.way).toBe('10.0.0.57 > 10.0.0.8');
  });

  it('ends at once with a NAK of its server only; another address follows', () => {
    const lab = new Lab().lease().until(T1(1800));
    const nak = { address: '0.0.0.0', mask: null, lease: null };
    expect(lab.answers(NAK, { ...nak, server: '10.0.0.8' })).toBe(false);
    expect(lab.answers(NAK, { ...nak, more: { 56: [...Buffer.from('wrong network')] } })).toBe(true);
    expect(lab.changes.slice(1)).toEqual(['0.0.0.0: 10.0.0.9 does not renew the lease: wrong network']);
    lab.until(lab.now);
    expect(lab.latest.type).toBe(DISCOVER);
    lab.lease({ address: '10.0.1.7', server: '10.0.1.9' });
    expect(lab.changes.slice(2)).toEqual(['10.0.1.7: leased from 10.0.1.9']);
  });

  it('is not renewed by an acknowledgement of another address', () => {
    const lab = new Lab().lease().until(T1(1800));
    expect(lab.answers(ACK, { address: '10.0.0.58' })).toBe(false);
    expect(lab.changes).toHaveLength(1);
  });

  it('that never ends is never renewed', () => {
    const lab = new Lab().lease({ lease: 0xffffffff });
    expect(lab.last!.lease!.seconds).toBe(Number.POSITIVE_INFINITY);
    expect(lab.client.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('of two seconds keeps the client from flooding its server', () => {
    const lab = new Lab().lease({ lease: 2 });
    for (let i = 0; i < 100; i++) {
      lab.until(lab.client.nextDeadline());
      lab.answers(ACK, { lease: 2 });
    }
    expect(lab.now).toBeGreaterThan(90_000);
  });

  it('is given back at the end, to its server', () => {
    const lab = new Lab().lease().until(10_000);
    lab.client.stop();
    expect(lab.latest).toMatchObject({ type: RELEASE, way: '10.0.0.57 > 10.0.0.9', ciaddr: '10.0.0.57' });
    expect(option(lab.latest, 54)).toBe(SERVER_IP);
    const before = lab.sent.length;
    lab.client.stop();
    expect(lab.until(10_000_000).sent).toHaveLength(before);
  });

  it('is not given back before there is one', () => {
    const lab = new Lab();
    lab.answers(OFFER);
    lab.answers(ACK);
    lab.client.stop();
    expect(lab.until(60_000).types()).toEqual([DISCOVER, REQUEST]);
    expect(lab.failures).toEqual([]);
  });
});
