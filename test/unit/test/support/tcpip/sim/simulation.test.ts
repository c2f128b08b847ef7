import { describe, expect, it } from 'vitest';
import createEcho from '../../../../../../src/apps/echo.js';
import type { Stack } from '../../../../../../src/stack.js';
import { formatIpv4 } from '../../../../../../src/wire/address.js';
import { writeU16 } from '../../../../../../src/wire/bytes.js';
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_FRAGMENTATION_NEEDED,
  icmpCode,
  icmpNextHopMtu,
  icmpType,
  isIcmpIntact,
} from '../../../../../../src/wire/icmp.js';
import {
  IPV4_DSCP_ECN,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  ipv4FragmentOffset,
  ipv4Source,
  isIpv4Intact,
  writeIpv4Checksum,
} from '../../../../../../src/wire/ipv4.js';
import { type WireMemory, wireMemory } from '../../../../../../src/wire/memory.js';
import { Datagrams } from '../../../../../support/tcpip/sim/datagrams.js';
import type { Host } from '../../../../../support/tcpip/sim/host.js';
import type { PathOptions } from '../../../../../support/tcpip/sim/path.js';
import { expectQuiet } from '../../../../../support/tcpip/sim/quiet.js';
import { ROUTER_IP } from '../../../../../support/tcpip/sim/router.js';
import { Simulation } from '../../../../../support/tcpip/sim/simulation.js';

/** Two hosts on a link: the first sends datagrams, the second collects them. */
async function pair(there: PathOptions, { seed = 1, port = 9, pollMs = 0.001 } = {}) {
  const sim = new Simulation({ seed });
  const clock = (): number => sim.now;
  const a = await sim.host({ buffers: 4096, pollMs });
  const b = await sim.host({ buffers: 4096, pollMs });
  const sender = new Datagrams(a.core, clock, port);
  const receiver = new Datagrams(b.core, clock, port);
  a.stack = sender;
  b.stack = receiver;
  const link = sim.link(a, b, there);
  return { sim, a, b, sender, receiver, link };
}

/** Sends in pieces that fit into the ring of the layer. */
function flood(sim: Simulation, from: Host, sender: Datagrams, to: Host, count: number, length = 100): void {
  for (let i = 0; i < count; i += 32)
    sim.after(i * 0.01, () => sender.send(to.core.address, Math.min(32, count - i), length));
  expect(from.stack).toBe(sender);
}

/** A stack that gives its packets, which must be intact, to a function. */
function collect({ core }: Host, take: (packet: Uint8Array) => void): Stack {
  return {
    poll() {
      const count = core.getRxCount();
      for (let i = 0; i < count; i++) {
        const buffer = core.getBufferRx()!;
        expect(isIpv4Intact(core.memory, buffer.offset, buffer.length)).toBe(true);
        take(buffer.bytes.slice(0, buffer.length));
        core.release(buffer);
      }
      return count;
    },
  };
}

const COUNTED = 20_000;

describe('a path', () => {
  it('delays a frame by its transmission and its length', async () => {
    const { sim, b, sender, receiver } = await pair({ bitsPerSecond: 8e6, delayMs: 20 });
    sender.send(b.core.address, 3, 986);
    expect(sim.runUntilIdle(10_000)).toBe(true);
    // 1000 bytes with the Ethernet header: 1 ms each.
    expect(receiver.numbers).toEqual([0, 1, 2]);
    expect(receiver.times[0]).toBeCloseTo(21, 2);
    expect(receiver.times[2]).toBeCloseTo(23, 2);
  });

  it('drops what does not fit into its queue', async () => {
    const { sim, b, sender, receiver, link } = await pair({ bitsPerSecond: 8e6, queueBytes: 3000 });
    sender.send(b.core.address, 10, 986);
    sim.runUntilIdle(1000);
    expect(receiver.numbers).toEqual([0, 1, 2]);
    expect(link.there.counters).toMatchObject({ sent: 10, overflowed: 7, arrived: 3 });
    expectQuiet(sim);
  });

  it('holds frames back when it may not drop them, and the core sends them later', async () => {
    const { sim, b, sender, receiver, link } = await pair({ bitsPerSecond: 8e6, queueBytes: 3000, whenFull: 'hold' });
    expect(sender.send(b.core.address, 40, 986)).toBe(35);
    sim.runUntilIdle(1000);
    expect(receiver.numbers).toEqual(Array.from({ length: 35 }, (_, i) => i));
    expect(receiver.times.at(-1)).toBeCloseTo(35, 1);
    expect(link.there.counters.overflowed).toBe(0);
    expectQuiet(sim);
  });

  it('loses, doubles, damages and reorders as often as it is told', async () => {
    const options = { loss: 0.1, duplicate: 0.05, corrupt: 0.02, reorder: { probability: 0.2, extraMs: 5 } };
    const { sim, a, b, sender, receiver, link } = await pair({ delayMs: 1, ...options });
    flood(sim, a, sender, b, COUNTED);
    expect(sim.runUntilIdle(10_000)).toBe(true);
    const { counters } = link.there;
    const share = (count: number): number => count / COUNTED;
    expect(share(counters.lost)).toBeCloseTo(0.1, 1);
    expect(share(counters.duplicated)).toBeCloseTo(0.05 * 0.9, 1);
    expect(share(counters.corrupted)).toBeCloseTo(0.02 * 0.95, 1);
    expect(share(counters.reordered)).toBeCloseTo(0.2 * 0.95, 1);
    const { rx_frames, rx_delivered, rx_arp } = b.port.counters();
    const refused = rx_frames - rx_delivered - rx_arp;
    // Every flipped bit is noticed, by the filter, the IP checksum or the UDP checksum.
    expect(receiver.damaged + refused).toBe(counters.corrupted);
    expect(receiver.numbers.length).toBe(rx_delivered - receiver.damaged);
    expect(receiver.numbers).not.toEqual([...receiver.numbers].sort((x, y) => x - y));
    expectQuiet(sim);
  });

  it('loses in bursts', async () => {
    const { sim, a, b, sender, receiver, link } = await pair({ burstLoss: { enter: 0.01, leave: 0.2 } });
    flood(sim, a, sender, b, COUNTED);
    sim.runUntilIdle(10_000);
    const gaps = receiver.numbers
      .map((number, i) => number - (receiver.numbers[i - 1] ?? -1) - 1)
      .filter((gap) => gap > 0);
    const lost = gaps.reduce((sum, gap) => sum + gap, 0);
    expect(link.there.counters.lost).toBeGreaterThanOrEqual(lost);
    expect(lost / COUNTED).toBeCloseTo(0.01 / 0.21, 1);
    expect(lost / gaps.length).toBeGreaterThan(3);
  });

  it('loses the frames that the test names', async () => {
    const { sim, b, sender, receiver } = await pair({
      lose: (_frame, length, number) => length === 114 && number === 1,
    });
    sender.send(b.core.address, 4);
    sim.runUntilIdle(100);
    expect(receiver.numbers).toEqual([0, 2, 3]);
  });

  it('swallows long packets when it is a black hole', async () => {
    const { sim, b, sender, receiver, link } = await pair({ mtu: 600, tooLong: 'black-hole' });
    sender.send(b.core.address, 2, 601);
    sender.send(b.core.address, 2, 600);
    sim.runUntilIdle(100);
    expect(receiver.numbers).toEqual([2, 3]);
    expect(sender.others).toEqual([]);
    expect(link.there.counters.tooLong).toBe(2);
    expectQuiet(sim);
  });

  it('answers long packets like a router', async () => {
    const { sim, b, sender, receiver } = await pair({ mtu: 600, delayMs: 3 });
    sender.send(b.core.address, 1, 601);
    sim.runUntilIdle(100);
    expect(receiver.numbers).toEqual([]);
    const [answer] = sender.others;
    const memory = wireMemory(answer!);
    const icmp = IPV4_HEADER_BYTES;
    expect(formatIpv4(ipv4Source(answer!, 0))).toBe(ROUTER_IP);
    expect(isIcmpIntact(memory, icmp, answer!.length - icmp)).toBe(true);
    expect([icmpType(answer!, icmp), icmpCode(answer!, icmp), icmpNextHopMtu(answer!, icmp)]).toEqual([
      ICMP_DESTINATION_UNREACHABLE,
      ICMP_FRAGMENTATION_NEEDED,
      600,
    ]);
    expectQuiet(sim);
  });

  it('fragments long packets that may be fragmented, like a router', async () => {
    const { sim, b, sender, receiver, link } = await pair({ mtu: 600 });
    const fragments: number[] = [];
    b.stack = collect(b, (packet) => fragments.push(packet.length, ipv4FragmentOffset(packet, 0)));
    sender.send(b.core.address, 1, 1300, (memory, ip) => {
      writeU16(memory.u8, ip + IPV4_FRAGMENT, 0);
      writeIpv4Checksum(memory, ip);
    });
    sim.runUntilIdle(10_000);
    // 1280 bytes of payload; 576 is the largest multiple of eight that fits.
    expect(fragments).toEqual([596, 0, 596, 576, 148, 1152]);
    expect(receiver.numbers).toEqual([]);
    expect(link.there.counters.tooLong).toBe(1);
    expect(sim.frames.used).toBe(0);
  });

  it('marks packets that allow it when its queue is long', async () => {
    const { sim, b, sender, receiver, link } = await pair({ bitsPerSecond: 8e6, markFrom: 2500 });
    const marks: number[] = [];
    b.stack = collect(b, (packet) => marks.push(packet[IPV4_DSCP_ECN]! & 3));
    const capable = (memory: WireMemory, ip: number) => {
      memory.u8[ip + IPV4_DSCP_ECN] = 2;
      writeIpv4Checksum(memory, ip);
    };
    sender.send(b.core.address, 5, 986, capable);
    sender.send(b.core.address, 1, 986);
    sim.runUntilIdle(10_000);
    expect(marks).toEqual([2, 2, 2, 3, 3, 0]);
    expect(link.there.counters.marked).toBe(2);
    expect(receiver.damaged).toBe(0);
  });

  it('takes other options while frames are on it, and keeps the order of frames', async () => {
    const { sim, b, sender, receiver, link } = await pair({ delayMs: 50 });
    sender.send(b.core.address, 2);
    sim.after(10, () => {
      link.there.set({ delayMs: 1 });
      sender.send(b.core.address, 2);
    });
    sim.runUntilIdle(1000);
    expect(receiver.numbers).toEqual([0, 1, 2, 3]);
    expect(receiver.times.map(Math.round)).toEqual([50, 50, 50, 50]);
  });
});

describe('a simulation', () => {
  it('runs the real stacks: a datagram is echoed after one round trip', async () => {
    const { sim, a, b, sender } = await pair({ delayMs: 10 }, { port: 7 });
    b.stack = createEcho(b.core);
    sender.send(b.core.address, 5);
    expect(sim.runUntil(() => sender.numbers.length === 5, 1000)).toBe(true);
    expect(sim.now).toBeGreaterThanOrEqual(20);
    expect(sim.now).toBeLessThan(20.1);
    expectQuiet(sim);
    expect(a.warnings).toEqual([]);
  });

  it('repeats itself from its seed, and differs with another one', async () => {
    const run = async (seed: number) => {
      const { sim, a, b, sender, receiver } = await pair(
        { delayMs: 5, loss: 0.05, reorder: { probability: 0.1, extraMs: 2 } },
        { seed },
      );
      flood(sim, a, sender, b, 2000);
      sim.runUntilIdle(5000);
      return [receiver.numbers, receiver.times];
    };
    const first = await run(5);
    expect(await run(5)).toEqual(first);
    expect(await run(6)).not.toEqual(first);
  });

  it('shares the link behind a hub among the hosts before it', async () => {
    const sim = new Simulation({ seed: 3 });
    const hub = sim.hub();
    const clients = [await sim.host(), await sim.host(), await sim.host()];
    const server = await sim.host();
    const receiver = new Datagrams(server.core, () => sim.now);
    server.stack = receiver;
    for (const client of clients) sim.link(client, hub, { bitsPerSecond: 1e9 });
    const bottleneck = sim.link(hub, server, { bitsPerSecond: 8e6, queueBytes: 100_000 });
    const senders = clients.map((client) => new Datagrams(client.core, () => sim.now));
    clients.forEach((client, i) => {
      client.stack = senders[i]!;
    });
    for (const sender of senders)
      for (let i = 0; i < 5; i++) sim.at(i, () => sender.send(server.core.address, 10, 986));
    sim.runUntilIdle(10_000);
    const { overflowed } = bottleneck.there.counters;
    expect(receiver.numbers.length).toBe(150 - overflowed);
    expect(overflowed).toBeGreaterThan(30);
    expectQuiet(sim);
  });

  it('calls the test at the times that it names, and stops at the end of a run', async () => {
    const { sim } = await pair({});
    const calls: number[] = [];
    sim.at(30, () => calls.push(sim.now));
    sim.at(10, () => sim.after(5, () => calls.push(sim.now)));
    sim.run(20);
    expect([sim.now, calls]).toEqual([20, [15]]);
    expect(sim.runUntil(() => calls.length === 2, 100)).toBe(true);
    expect(calls).toEqual([15, 30]);
    expect(sim.runUntil(() => false, 100)).toBe(false);
  });

  it('fails when stacks never come to an end', async () => {
    const sim = new Simulation({ seed: 8, maxSteps: 1000 });
    const host = await sim.host();
    host.stack = { poll: () => 1 };
    sim.wake();
    expect(() => sim.run(1000)).toThrow(/^simulation of seed 8: 1000 steps until 4\.99\d ms$/);
  });
});

describe('expectQuiet', () => {
  const withStack = async (make: (host: Host) => Stack): Promise<Simulation> => {
    const { sim, b, sender } = await pair({});
    b.stack = make(b);
    sender.send(b.core.address, 1);
    return sim;
  };

  it('notices a buffer that a stack keeps', async () => {
    const sim = await withStack(({ core }) => ({
      poll: () => (core.getRxCount() > 0 ? core.getBufferRx()!.length : 0),
    }));
    expect(() => expectQuiet(sim)).toThrow(
      /^seed 1: 10\.0\.0\.2: the stack holds 1 buffers; 10\.0\.0\.2: 1 buffers are not free$/,
    );
  });

  it('notices a timer that never ends', async () => {
    const sim = await withStack(({ core }) => {
      const echo = createEcho(core);
      return { poll: () => echo.poll(), maxSleepMs: () => 50 };
    });
    expect(() => expectQuiet(sim)).toThrow(/something is left to happen after 600000 ms; .*a timer is armed/);
  });

  it('notices a connection that the report of a stack shows', async () => {
    const sim = await withStack(({ core }) => {
      const echo = createEcho(core);
      return { poll: () => echo.poll(), report: () => ({ tcp_connections: 1, tcp_timers: 0 }) };
    });
    expect(() => expectQuiet(sim)).toThrow('seed 1: 10.0.0.2: the report has tcp_connections 1');
  });
});
