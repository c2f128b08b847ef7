/** SpoofGuard: which addresses a VM may send from, and that it cannot change a packet after the check. */

import { writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Batch, emptyBurst } from '../../../../bess/modules/batch.js';
import { Module } from '../../../../bess/modules/module.js';
import { QueueInc } from '../../../../bess/modules/port-inc.js';
import { QueueOut } from '../../../../bess/modules/port-out.js';
import { parseIpv4, SpoofGuard } from '../../../../bess/modules/spoof-guard.js';
import { loadScript } from '../../../../bess/script/load.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_TCP4 } from '../../../../rings/packet-table.js';
import { errorOf, fakePort } from '../../../support/bess/fake-port.js';
import { temporaryDirectory } from '../../../support/resources.js';

const OWN = [0x52, 0x54, 0, 0, 0, 1];
const OTHER = [0x52, 0x54, 0, 0, 0, 2];
const ALL = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const IP = [10, 0, 0, 1];
const IP2 = [10, 0, 0, 2];
const ANY = [0, 0, 0, 0];

const ethernet = (source: number[], type: number, ...rest: number[]): Uint8Array =>
  Uint8Array.of(...ALL, ...source, type >>> 8, type & 0xff, ...rest);
const arp = (mac: number[], ip: number[]): number[] => [0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...ip, ...ANY, ...ANY, 0, 0];
const ipv4 = (source: number[]): number[] => [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, ...source, ...IP2];

/** One VM behind a guard: what passes and what is refused. */
function guarded(ips: number[][] = [IP]) {
  const vm = fakePort('vm');
  const passed = fakePort('passed');
  const refused = fakePort('refused');
  const input = new QueueInc('in', vm.port, 0);
  const guard = new SpoofGuard(
    'guard',
    Uint8Array.from(OWN),
    ips.map((ip) => parseIpv4(ip.join('.'))),
  );
  input.connect(0, guard, 0);
  guard.connect(0, new QueueOut('passed', passed.port, 0), 0);
  guard.connect(1, new QueueOut('refused', refused.port, 0), 0);
  return { vm, passed, refused, guard, poll: () => input.tasks[0]!.run() };
}

let t: ReturnType<typeof guarded>;
beforeEach(() => {
  t = guarded();
});

describe('SpoofGuard', () => {
  it.each<[string, Uint8Array]>([
    ['its own address', ethernet(OWN, 0x86dd, 1, 2, 3)],
    ['an ARP that speaks for it', ethernet(OWN, 0x0806, ...arp(OWN, IP))],
    ['an ARP probe', ethernet(OWN, 0x0806, ...arp(OWN, ANY))],
    ['a packet from its address', ethernet(OWN, 0x0800, ...ipv4(IP))],
    ['a packet without a source address, as DHCP sends', ethernet(OWN, 0x0800, ...ipv4(ANY))],
    ['the same with two VLAN tags', ethernet(OWN, 0x88a8, 0, 1, 0x81, 0, 0, 2, 0x08, 0, ...ipv4(IP))],
  ])('passes %s', (_, frame) => {
    t.vm.queue.offer(frame);
    t.poll();
    expect(t.passed.queue.received).toEqual([frame]);
    expect(t.refused.queue.received).toEqual([]);
  });

  it.each<[string, Uint8Array]>([
    ['another address', ethernet(OTHER, 0x86dd)],
    ['an address of zeros', ethernet([0, 0, 0, 0, 0, 0], 0x0800, ...ipv4(IP))],
    ['an ARP that speaks for another MAC', ethernet(OWN, 0x0806, ...arp(OTHER, IP))],
    ['an ARP that speaks for another IP', ethernet(OWN, 0x0806, ...arp(OWN, IP2))],
    ['an ARP in a VLAN that speaks for another IP', ethernet(OWN, 0x8100, 0, 1, 0x08, 0x06, ...arp(OWN, IP2))],
    ['an ARP cut short', ethernet(OWN, 0x0806, ...arp(OWN, IP).slice(0, 27))],
    ['an ARP of another kind', ethernet(OWN, 0x0806, 0, 6, ...arp(OWN, IP).slice(2))],
    ['a packet from another IP', ethernet(OWN, 0x0800, ...ipv4(IP2))],
    ['a packet cut short', ethernet(OWN, 0x0800, ...ipv4(IP).slice(0, 19))],
    ['three VLAN tags', ethernet(OWN, 0x8100, 0, 1, 0x81, 0, 0, 1, 0x81, 0, 0, 1, 0x08, 0, ...ipv4(IP))],
    ['a VLAN tag cut short', ethernet(OWN, 0x8100, 0, 1)],
  ])('refuses %s', (_, frame) => {
    t.vm.queue.offer(frame);
    t.poll();
    expect(t.passed.queue.received).toEqual([]);
    expect(t.refused.queue.received).toEqual([frame]);
  });

  it('keeps what a packet leaves to its receiver, up to the longest one', () => {
    const long = new Uint8Array(65553).fill(7);
    long.set(ethernet(OWN, 0x0800, ...ipv4(IP)));
    const gso = { flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 1448, csumStart: 34, csumOffset: 16 };
    const own = ethernet(OWN, 0x86dd, 1, 2, 3);
    t.vm.queue.offer(own);
    for (let i = 0; i < 3; i++)
      t.vm.queue.offerUnfinished({ ...gso, gsoSize: i }, long.subarray(0, 101), long.subarray(101));
    t.vm.queue.offer(ethernet(OTHER, 0x86dd), own);
    t.vm.queue.offerUnfinished({ ...gso, csumStart: 14 }, own);
    t.poll();
    expect(t.passed.queue.received.map(({ length }) => length)).toEqual([17, 65553, 65553, 65553, 17, 17]);
    for (const one of t.passed.queue.received.slice(1, 4)) expect(Buffer.compare(one, long)).toBe(0);
    const [i0, i1, i2] = [0, 1, 2].map((gsoSize) => ({ ...gso, gsoSize }));
    expect(t.passed.queue.receivedOffloads).toEqual([null, i0, i1, i2, null, { ...gso, csumStart: 14 }]);
    expect(t.refused.queue.receivedOffloads).toEqual([null]);
  });

  it.each<[string, Uint8Array, number]>([
    ['the MAC address', ethernet(OWN, 0x86dd, ...new Array(40).fill(0)), 13],
    ['the MAC address behind a tag', ethernet(OWN, 0x8100, 0, 1, 0x86, 0xdd, ...new Array(40).fill(0)), 17],
    ['the IPv4 address', ethernet(OWN, 0x0800, ...ipv4(IP), ...new Array(40).fill(0)), 33],
    ['the sender of an ARP', ethernet(OWN, 0x0806, ...arp(OWN, IP), ...new Array(40).fill(0)), 41],
  ])('refuses a partial checksum that could overwrite %s', (_, frame, csumStart) => {
    const partial = { flags: CHECKSUM_PARTIAL, gsoSize: 0, csumStart, csumOffset: 2 };
    t.vm.queue.offerUnfinished(partial, frame);
    t.vm.queue.offerUnfinished({ ...partial, csumStart: csumStart + 1 }, frame);
    t.vm.queue.offerUnfinished({ ...partial, flags: CHECKSUM_VERIFIED }, frame);
    t.poll();
    expect(t.refused.queue.receivedOffloads).toEqual([partial]);
    expect(t.passed.queue.receivedOffloads).toHaveLength(2);
  });

  it('checks only MAC addresses where no IP is given', () => {
    t = guarded([]);
    t.vm.queue.offer(ethernet(OWN, 0x0800, ...ipv4(IP2)), ethernet(OWN, 0x0806, ...arp(OTHER, IP)));
    t.poll();
    expect(t.passed.queue.received).toHaveLength(1);
    expect(t.refused.queue.received).toHaveLength(1);
  });

  it('keeps the order in each gate and joins pieces, at odd places too', () => {
    const frames = [0, 1, 2, 3, 4, 5].map((n) => ethernet(n % 3 === 2 ? OTHER : OWN, 0x86dd, n, n, n));
    t.vm.queue.base = 1;
    for (const frame of frames)
      t.vm.queue.waiting.push([frame.subarray(0, 3), frame.subarray(3, 13), frame.subarray(13)]);
    expect(t.poll()).toBe(6);
    expect(t.passed.queue.received).toEqual(frames.filter((_, n) => n % 3 !== 2));
    expect(t.refused.queue.received).toEqual(frames.filter((_, n) => n % 3 === 2));
  });

  it('drops and counts what it refuses if gate 1 leads nowhere', () => {
    t.guard.disconnect(1);
    t.vm.queue.offer(ethernet(OTHER, 0x86dd), ethernet(OWN, 0x86dd));
    t.poll();
    expect(t.guard.deadends).toBe(1);
    expect(t.passed.queue.received).toHaveLength(1);
  });

  it('passes on the bytes that it has checked, whatever the VM writes afterwards', () => {
    const memory = new SharedArrayBuffer(64);
    const u8 = new Uint8Array(memory);
    const burst = emptyBurst();
    burst.memory = { u8, u16: new Uint16Array(memory), u32: new Uint32Array(memory) };
    u8.set(ethernet(OWN, 0x86dd));
    burst.push(0, 14);
    let seen: number[] = [];
    class Late extends Module {
      readonly className = 'Late';
      override process({ burst: { memory: own, segmentOffset }, indices }: Batch): void {
        u8.set(OTHER, 6);
        const at = segmentOffset[indices[0]!]! + 6;
        seen = [...own.u8.subarray(at, at + 6)];
      }
    }
    t.guard.disconnect(0);
    t.guard.connect(0, new Late('late'), 0);
    t.guard.process({ burst, indices: Uint8Array.of(0), count: 1, bytes: 14, replicated: false } as unknown as Batch);
    expect(seen).toEqual(OWN);
  });

  it('is made by a script, which is told what is wrong', async () => {
    const directory = temporaryDirectory();
    const file = `${directory.path}/x.bess`;
    const load = async (args: string): Promise<string> => {
      writeFileSync(file, `g::SpoofGuard(${args})\n`);
      const bess = await loadScript(file);
      const description = bess.graph.all[0]!.describe();
      await bess.stop();
      return description;
    };
    try {
      expect(await load("mac='52:54:0:0:0:1', ips=['10.0.0.1', '255.0.0.2']")).toBe(
        '52:54:00:00:00:01 10.0.0.1 255.0.0.2',
      );
      await expect(load('')).rejects.toThrow('is not a proper mac address');
      await expect(load("mac='ff:ff:ff:ff:ff:ff'")).rejects.toThrow('of one station, not of a group');
      await expect(load("mac='52:54:0:0:0:1', ips=['10.0.0.256']")).rejects.toThrow(
        '10.0.0.256 is not an IPv4 address',
      );
    } finally {
      directory.remove();
    }
    expect(errorOf(() => parseIpv4('10.0.0'))).toMatchObject({ code: 'EINVAL' });
  });
});
