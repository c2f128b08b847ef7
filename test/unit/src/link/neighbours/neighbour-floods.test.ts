/**
 * What strangers can do to neighbours: floods of packets from invented addresses, of ARP requests, of answers, and of
 * addresses that collide in the table. In each flood the neighbours that were known before lose nothing, and new ones
 * get through.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { type NeighbourReader, NeighbourState } from '../../../../../rings/neighbour-reader.js';
import type { BaseCore } from '../../../../../src/link/base-core.js';
import { formatIpv4, parseIpv4 } from '../../../../../src/wire/address.js';
import { collidingAddresses } from '../../../../support/link/colliding-addresses.js';
import { arp, arpReply, isArp, OUR_IP } from '../../../../support/link/frames.js';
import { expectNoBufferLost, makeCore, packetTo, type TestCore } from '../../../../support/link/test-core.js';
import { SteppedPort } from '../../../../support/threads/stepped-port.js';

const KNOWN = 20;
const GATEWAY = '10.0.0.250';
const OFF_LINK = '8.8.8.8';
const BASE = 0x0a00_0000;
const known = Array.from({ length: KNOWN }, (_, n) => formatIpv4(BASE + 2 + n));
const macOf = (ip: string): number[] => [0x52, 0x54, 1, ...ip.split('.').slice(1).map(Number)];
const targetOf = (frame: Uint8Array): string => [...frame.slice(38, 42)].join('.');

/** The link of a core: stations that answer, time that passes, and the packets to each station. */
class Link {
  private readonly t: TestCore<BaseCore>;
  private readonly stations = new Set<string>();
  /** Packets that were sent to a station, by its address. */
  readonly arrived = new Map<string, number>();
  private readonly mac = new Uint16Array(3);
  private dice = 1;

  constructor(mode: 'single' | '1kb' | '2kb') {
    if (mode === 'single') {
      this.t = makeCore({ prefixLength: 8, gateway: parseIpv4(GATEWAY) }, { buffers: 512 });
      return;
    }
    const port = new SteppedPort({ mode, stackCores: 1, buffers: 1024, ip: `${OUR_IP}/8`, gateway: GATEWAY });
    const { device, warnings, time } = port;
    this.t = { core: port.cores[0]!, device, warnings, time, pass: (ms) => port.pass(ms), port };
  }

  /** Adds a station that answers ARP. Without `asks` it has our address in its cache from before. */
  join(ip: string, { asks }: { asks: boolean }): void {
    this.stations.add(ip);
    if (asks) this.receive(arp({ senderIp: ip, senderMac: macOf(ip) }));
    this.turn();
  }

  receive(frame: Uint8Array): void {
    this.t.device.inject(frame);
  }

  /** ARP requests for our address, in bursts that the device has room for. */
  ask(ips: readonly string[]): void {
    for (const [n, ip] of ips.entries()) {
      this.receive(arp({ senderIp: ip, senderMac: macOf('10.0.0.9') }));
      if (n % 16 === 15) this.turn();
    }
    this.turn();
  }

  send(ip: string): void {
    this.t.core.addBufferToRing(packetTo(this.t.core, ip));
  }

  /** Sends a packet to a station that is still known: it goes out at once. */
  sendToKnown(ip: string): void {
    if (this.table().lookup(parseIpv4(ip), this.mac) === NeighbourState.FREE) expect.fail(`${ip} was forgotten`);
    const before = this.arrived.get(ip) ?? 0;
    this.send(ip);
    this.turn();
    if (this.arrived.get(ip) !== before + 1) expect.fail(`a packet to ${ip} did not go out`);
  }

  /** Lets a millisecond pass, in which core and stations do what is due. */
  millisecond(): void {
    this.t.pass(1);
    this.turn();
  }

  /** An address of the link that no station has. */
  stranger(): string {
    for (;;) {
      this.dice = Math.imul(this.dice, 1_103_515_245) + 12_345;
      const ip = formatIpv4(BASE + ((this.dice >>> 8) & 0xffff));
      if (!ip.endsWith('.0') && !ip.endsWith('.255') && ip !== OUR_IP && !this.stations.has(ip)) return ip;
    }
  }

  counters(): Record<string, number> {
    return this.t.port?.counted() ?? (this.t.core.counters() as Record<string, number>);
  }

  /** The neighbour table, as a reader sees it. */
  table(): NeighbourReader {
    const { core, port } = this.t;
    if (port !== undefined) return port.interconnect.neighbourReader();
    return (core as unknown as { link: { neighbours: { table: NeighbourReader } } }).link.neighbours.table;
  }

  check(): void {
    expectNoBufferLost(this.t);
  }

  private turn(): void {
    const { core, device, port } = this.t;
    // The answer to a packet may cause further packets.
    for (let again = true; again; ) {
      again = false;
      port?.settle();
      core.getRxCount();
      for (let buffer = core.getBufferRx(); buffer !== null; buffer = core.getBufferRx()) core.release(buffer);
      core.flush();
      port?.settle();
      for (const frame of device.frames.splice(0)) {
        if (!isArp(frame)) {
          const ip = [...frame.slice(30, 34)].join('.');
          this.arrived.set(ip, (this.arrived.get(ip) ?? 0) + 1);
        } else if (frame[21] === 1 && this.stations.has(targetOf(frame))) {
          this.receive(arpReply(targetOf(frame), macOf(targetOf(frame))));
          again = true;
        }
      }
    }
  }
}

describe.each(['single', '1kb', '2kb'] as const)('%s: known neighbours lose nothing, new ones get through', (mode) => {
  let link: Link;

  beforeEach(() => {
    link = new Link(mode);
    for (const ip of known) link.join(ip, { asks: true });
  });

  /** For `ms`, each known neighbour gets a packet 20 times per second while `attack` runs. */
  function endure(ms: number, attack: (ms: number) => void): void {
    for (let now = 0; now < ms; now++) {
      attack(now);
      link.millisecond();
      if (now % 50 === 0) for (const ip of known) link.sendToKnown(ip);
    }
    link.check();
  }

  it('1000 packets per second to strangers who never answer', () => {
    const askedBefore = '10.0.100.1';
    const cached = '10.0.100.2';
    let tries = 0;
    endure(33_000, (now) => {
      link.send(link.stranger());
      if (now === 5000) link.join(askedBefore, { asks: true });
      if (now === 5001) link.sendToKnown(askedBefore);
      // The new station has our address from before, so the core must ask for it. It sends a packet now and then.
      if (now === 6000) link.join(cached, { asks: false });
      if (now >= 6000 && now % 500 === 0 && !link.arrived.has(cached)) {
        tries++;
        link.send(cached);
      }
    });
    expect(link.arrived.get(cached)).toBe(1);
    expect(tries).toBeLessThanOrEqual(3);
    const { arp_requests, arp_replaced, tx_drop_park_full } = link.counters() as Record<string, number>;
    // No more requests than the limit, and about 40 for the neighbours.
    expect(arp_requests).toBeLessThanOrEqual(33_000 + 64 + 100);
    expect(arp_replaced).toBeGreaterThan(1000);
    expect(tx_drop_park_full).toBeGreaterThan(1000);
  });

  it('20 strangers per millisecond', () => {
    endure(2000, (now) => {
      for (let n = 0; n < 20; n++) link.send(link.stranger());
      if (now !== 1000) return;
      link.join(GATEWAY, { asks: false });
      link.send(OFF_LINK);
    });
    expect(link.arrived.get(OFF_LINK)).toBe(1);
    expect(link.counters().arp_requests).toBeLessThanOrEqual(2000 + 64 + 1);
    expect(link.counters().tx_drop_neighbours_full).toBeGreaterThan(30_000);
  });

  it('packets to 200 strangers again and again, while they are asked for', () => {
    const strangers = Array.from({ length: 200 }, () => link.stranger());
    const cached = '10.0.100.2';
    endure(3000, (now) => {
      for (let n = 0; n < 10; n++) link.send(strangers[(10 * now + n) % 200]!);
      if (now !== 1000) return;
      link.join(cached, { asks: false });
      link.send(cached);
    });
    expect(link.arrived.get(cached)).toBe(1);
  });

  it('399 ARP requesters at once', () => {
    link.ask(Array.from({ length: 399 }, () => link.stranger()));
    endure(35_000, () => {});
    expect(link.counters()).toMatchObject({ arp_table_full: 0, arp_evicted: 0, arp_gave_up: 0 });
  });

  it('100,000 ARP requesters, three per millisecond', () => {
    const late = '10.0.100.2';
    endure(33_500, (now) => {
      link.ask([link.stranger(), link.stranger(), link.stranger()]);
      // The table is full of strangers: the new station's request is answered, but not learned. The core asks for it
      // when it gets a packet.
      if (now === 9000) link.join(late, { asks: true });
      if (now === 9001) link.send(late);
    });
    expect(link.arrived.get(late)).toBe(1);
    expect(link.counters().arp_table_full).toBeGreaterThan(90_000);
  });

  it('1000 ARP requesters whose addresses collide with a neighbour’s', () => {
    const { key } = link.table() as unknown as { key: number };
    const [, ...colliding] = collidingAddresses(key, 1024, 1000, parseIpv4(known[0]!));
    link.ask(colliding.map(formatIpv4));
    endure(1000, () => {});
    expect(link.counters()).toMatchObject({ arp_learned: KNOWN + 999, arp_table_full: 0, arp_evicted: 0 });
  });

  it('5000 strangers who answer when they are asked, and fill the table', () => {
    // The neighbours were confirmed again half a minute after they became known, so no number of newcomers replaces
    // them.
    endure(32_000, () => {});
    const late = '10.0.100.2';
    endure(5000, (now) => {
      const ip = formatIpv4(BASE + 0x1_0000 + now);
      link.join(ip, { asks: false });
      link.send(ip);
      if (now === 4000) link.join(late, { asks: true });
      if (now === 4001) link.send(late);
    });
    expect(link.arrived.get(late)).toBe(1);
    expect(link.counters().arp_evicted).toBeGreaterThan(3000);
  });
});
