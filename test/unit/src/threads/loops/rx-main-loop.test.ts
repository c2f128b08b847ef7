/** The receiving loop: which core gets which packets, and that a slow core stops no other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import {
  arp,
  BROADCAST,
  ethernet,
  flowPacket,
  ipv4,
  OTHER_MAC,
  OUR_IP,
  PEER_IP,
} from '../../../../support/link/frames.js';
import {
  expectEveryBufferOnce,
  expectEveryFrameInOneCounter,
  numberOf,
  SteppedPort,
  takeAll,
} from '../../../../support/threads/stepped-port.js';

const FLOWS = Array.from({ length: 64 }, (_, i) => 1024 + i);
const tuple = (flow: number) => ({
  ...{ protocol: 17, source: parseIpv4(PEER_IP), destination: parseIpv4(OUR_IP) },
  ...{ sourcePort: flow, destinationPort: 7 },
});

function open(options: ConstructorParameters<typeof SteppedPort>[0] = {}): SteppedPort {
  return new SteppedPort({ stackCores: 4, buffers: 4096, ...options });
}

function inject(port: SteppedPort, flow: number, number: number): void {
  expect(port.device.inject(flowPacket(flow, number))).toBe(true);
}

/** The flows that have packets for each core. Releases the packets. */
function flowsOf(port: SteppedPort): number[][] {
  return port.cores.map((core) =>
    takeAll(core).map((buffer) => {
      const flow = (buffer.bytes[20]! << 8) | buffer.bytes[21]!;
      core.release(buffer);
      return flow;
    }),
  );
}

describe('the receiving loop', () => {
  it('gives each packet to the core of the indirection table, with its hash', () => {
    const port = open();
    for (const flow of FLOWS) inject(port, flow, flow);
    port.settle();
    const seen = new Set<number>();
    for (const core of port.cores) {
      for (const buffer of takeAll(core)) {
        const flow = numberOf(buffer);
        seen.add(flow);
        expect(core.rssCoreFor(tuple(flow))).toBe(core.index);
        const { source, destination, sourcePort, destinationPort } = tuple(flow);
        expect(core.rssCoreForPorts(source, destination, sourcePort, destinationPort)).toBe(core.index);
        expect(buffer.rssHash).toBe(port.rss.hashPacket(buffer.offset, buffer.length));
        expect(buffer.rssHash).toBe(port.rss.hashFlow(tuple(flow)));
        core.release(buffer);
      }
    }
    expect(seen.size).toBe(FLOWS.length);
    for (const { values, index } of port.inbound) expect(values[index.rx_delivered]).toBeGreaterThan(0);
  });

  it('keeps the hash with the packet in layer ethernet, too', () => {
    const port = open({ layer: 'ethernet' });
    for (const flow of FLOWS) inject(port, flow, flow);
    port.settle();
    for (const core of port.cores) {
      for (const buffer of takeAll(core)) {
        expect(buffer.rssHash).toBe(port.rss.hashFrame(buffer.offset, buffer.length));
        expect(port.rss.coreOf(buffer.rssHash)).toBe(core.index);
      }
    }
  });

  it('sends both directions of a flow to one core', () => {
    const port = open();
    for (const flow of FLOWS) {
      const { source, destination, sourcePort, destinationPort } = tuple(flow);
      const back = { protocol: 17, source: destination, destination: source };
      const there = port.cores[0]!.rssCoreFor(tuple(flow));
      expect(port.cores[3]!.rssCoreFor({ ...back, sourcePort: destinationPort, destinationPort: sourcePort })).toBe(
        there,
      );
    }
  });

  it('follows the indirection table from one burst to the next; so does rssCoreFor', () => {
    const port = open();
    for (const target of [2, 0]) {
      port.indirection.set(new Array(128).fill(target));
      for (const flow of FLOWS) inject(port, flow, 1);
      port.settle();
      expect(flowsOf(port).map((flows) => flows.length)).toEqual([0, 1, 2, 3].map((i) => (i === target ? 64 : 0)));
      for (const core of port.cores) expect(core.rssCoreFor(tuple(FLOWS[0]!))).toBe(target);
    }
  });

  it('keeps the packets of a flow in order, whatever the bursts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(7), fc.nat(3), fc.nat(5)), { maxLength: 300 }), (steps) => {
        const port = open({ buffers: 1024, stackCores: 3 });
        const next = new Array<number>(8).fill(0);
        const last = new Array<number>(8).fill(-1);
        const take = (index: number): void => {
          const core = port.cores[index]!;
          for (let count = Math.min(core.getRxCount(), 5); count > 0; count--) {
            const buffer = core.getBufferRx()!;
            const flow = buffer.bytes[21]!;
            const number = numberOf(buffer);
            expect(number).toBeGreaterThan(last[flow]!);
            last[flow] = number;
            core.release(buffer);
          }
        };
        for (const [flow, core, act] of steps) {
          port.device.inject(flowPacket(0x4000 + flow, next[flow]!++));
          if (act === 0) port.pollRx();
          else if (act === 1 && core < 3) take(core);
        }
        port.settle();
        for (let round = 0; round < 80; round++) for (let core = 0; core < 3; core++) take(core);
        expect(last).toEqual(next.map((count) => count - 1));
        expectEveryFrameInOneCounter(port);
      }),
      { numRuns: 40 },
    );
  });

  it('drops and counts what a full rx_queue has no room for, at no cost to the others', () => {
    const port = open();
    const { rxQueue, rxShare } = port.interconnect.plan;
    const slow = port.cores[0]!.rssCoreFor(tuple(FLOWS[0]!));
    const mine = FLOWS.filter((flow) => port.cores[0]!.rssCoreFor(tuple(flow)) === slow).length;
    const received = new Map<number, number[]>();
    const rounds = 60;
    for (let round = 0; round < rounds; round++) {
      for (const flow of FLOWS) inject(port, flow, round);
      port.settle();
      for (const core of port.cores) {
        if (core.index === slow) continue;
        for (const buffer of takeAll(core)) {
          const flow = (buffer.bytes[20]! << 8) | buffer.bytes[21]!;
          received.set(flow, [...(received.get(flow) ?? []), numberOf(buffer)]);
          core.release(buffer);
        }
      }
    }
    const all = Array.from({ length: rounds }, (_, round) => round);
    expect(received.size).toBe(FLOWS.length - mine);
    for (const numbers of received.values()) expect(numbers).toEqual(all);
    const { rx_delivered, rx_drop_queue_full, rx_drop_core_share } = port.inbound[slow]!.snapshot();
    expect(rx_delivered).toBe(rxQueue);
    expect([rx_drop_queue_full, rx_drop_core_share]).toEqual([rounds * mine - rxQueue, 0]);
    expect(rxQueue).toBeLessThan(rxShare);
    expectEveryFrameInOneCounter(port);
    expectEveryBufferOnce(port);
    // The slow core then continues where it stopped.
    expect(takeAll(port.cores[slow]!)).toHaveLength(rxQueue);
  });

  it('gives a core no more than its share of buffers, and more when it returns some', () => {
    const port = open();
    const { rxShare } = port.interconnect.plan;
    const [hoarder] = port.cores;
    port.indirection.set(new Array(128).fill(0));
    const hoard: ReturnType<typeof takeAll> = [];
    for (let n = 0; n < 2 * rxShare; n++) {
      inject(port, FLOWS[n % 64]!, n);
      port.settle();
      hoard.push(...takeAll(hoarder!));
    }
    expect(hoard).toHaveLength(rxShare);
    expect(port.rx.rx.buffers.held[0]).toBe(rxShare);
    expect(port.inbound[0]!.snapshot()).toMatchObject({ rx_drop_core_share: rxShare, rx_drop_queue_full: 0 });
    port.indirection.set(new Array(128).fill(1));
    for (const flow of FLOWS) inject(port, flow, 1);
    port.settle();
    expect(takeAll(port.cores[1]!)).toHaveLength(FLOWS.length);
    for (const buffer of hoard.splice(0, 10)) hoarder!.release(buffer);
    hoarder!.flush();
    port.indirection.set(new Array(128).fill(0));
    for (const flow of FLOWS) inject(port, flow, 1);
    port.settle();
    expect(takeAll(hoarder!)).toHaveLength(10);
    expectEveryBufferOnce(port);
  });

  it('counts every frame once: with its core if it is for the stack, otherwise itself', () => {
    const port = open();
    const strange = [
      ethernet(ipv4([1]), { destination: OTHER_MAC }),
      ethernet(ipv4([1], { destination: '10.0.0.77' })),
      ethernet(ipv4([1], { destination: '255.255.255.255' }), { destination: BROADCAST }),
      ethernet([1, 2, 3], { type: 0x86dd }),
      Uint8Array.of(1, 2, 3),
    ];
    for (const frame of strange) port.device.inject(frame);
    for (const flow of FLOWS) inject(port, flow, 1);
    port.device.inject(arp());
    port.settle();
    expect(port.rxCounters.snapshot()).toMatchObject({
      ...{ rx_frames: 70, rx_arp: 1, rx_delivered: 0, rx_drop_other_mac: 1, rx_drop_other_ip: 1 },
      ...{ rx_drop_broadcast: 1, rx_drop_ipv6: 1, rx_drop_runt: 1 },
    });
    expect(port.inbound.reduce((sum, { values, index }) => sum + values[index.rx_delivered]!, 0)).toBe(64);
    expect(port.counted()).toMatchObject({ rx_delivered: 64, arp_answered: 1 });
    expectEveryFrameInOneCounter(port);
    expectEveryBufferOnce(port);
  });

  it('drops and counts what comes for a core that is gone, and keeps none of its past', () => {
    const port = open();
    for (const flow of FLOWS) inject(port, flow, 1);
    port.settle();
    takeAll(port.cores[1]!);
    const entries = port.indirection.get();
    port.crash(1);
    expectEveryBufferOnce(port);
    expect(port.rx.rx.buffers.held[1]).toBe(0);
    // Only a caller of the table moves flows to a core that is gone.
    port.indirection.set(entries);
    const before = port.inbound[1]!.snapshot().rx_delivered;
    for (const flow of FLOWS) inject(port, flow, 2);
    port.settle();
    const { rx_delivered, rx_drop_core_gone } = port.inbound[1]!.snapshot();
    expect([rx_delivered, rx_drop_core_gone]).toEqual([before, before]);
    expectEveryFrameInOneCounter(port);
  });

  it('counts what a core that fails has left in its rx_queue', () => {
    const port = open();
    for (const flow of FLOWS) inject(port, flow, 1);
    port.settle();
    const waiting = port.interconnect.ring(1, 'rxQueue').count;
    expect(waiting).toBeGreaterThan(0);
    port.crash(1);
    expect(port.inbound[1]!.snapshot()).toMatchObject({ rx_delivered: waiting, rx_lost_core_gone: waiting });
    expect(port.counted().rx_lost_core_gone).toBe(waiting);
    expectEveryFrameInOneCounter(port);
  });

  it('moves the flows of a core that fails to the others, and other flows nowhere', () => {
    const port = open();
    const coreOf = (flow: number): number => port.cores[0]!.rssCoreFor(tuple(flow));
    const before = FLOWS.map(coreOf);
    port.crash(2);
    for (const [i, flow] of FLOWS.entries()) {
      if (before[i] === 2) expect(coreOf(flow)).not.toBe(2);
      else expect(coreOf(flow)).toBe(before[i]);
    }
  });
});
