/** Packets in several buffers, and what is known of them or asked for, between the device and the cores. */
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_TSO4 } from '../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../../rings/packet-table.js';
import { Checksum } from '../../../../src/link/packet-buffer.js';
import type { InjectOptions } from '../../../../src/testing/fake-entries.js';
import { arp, ethernet, flowPacket, PEER_IP } from '../../../support/link/frames.js';
import { bytesOf, writeParts } from '../../../support/link/offload-steps.js';
import { segmentsOf, tcpPacket } from '../../../support/link/tcp-packets.js';
import {
  expectEveryBufferOnce,
  expectEveryFrameInOneCounter,
  SteppedPort,
  takeAll,
} from '../../../support/threads/stepped-port.js';

const ALL = OFFLOAD_CHAIN | OFFLOAD_CSUM | OFFLOAD_TSO4;
const HOW: InjectOptions = { flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 1448, csumStart: 34, csumOffset: 16 };
const pattern = (bytes: number, seed: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (i * 3 + seed) & 0xff);
const large = (sourcePort: number, bytes = 20_000): number[] =>
  tcpPacket(pattern(bytes, sourcePort), { isReceived: true, checksum: 'partial', sourcePort }).bytes;

describe.each(['1kb', '2kb'] as const)('%s', (mode) => {
  const open = (offloads = ALL, buffers = 4096): SteppedPort =>
    new SteppedPort({
      ...{ mode, stackCores: 3, buffers, neighbours: { [PEER_IP]: '52:54:00:00:00:02' } },
      fake: { offloads, finish: true },
    });

  it('a large packet comes to the core of its flow, whole, with what is known of it', () => {
    const port = open();
    const flows = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const flow of flows) port.device.inject(ethernet(large(flow)), { ...HOW, parts: [54, 1, 900] });
    port.pollRx();
    expectEveryBufferOnce(port);
    const seen: number[] = [];
    for (const core of port.cores) {
      for (const packet of takeAll(core)) {
        const flow = (packet.bytes[20]! << 8) | packet.bytes[21]!;
        expect(bytesOf(packet)).toEqual(large(flow));
        expect(
          core.rssCoreFor({
            ...{ protocol: 6, source: 0x0a000002, destination: 0x0a000001, sourcePort: flow, destinationPort: 80 },
          }),
        ).toBe(core.index);
        expect([packet.checksum, packet.segmentSize]).toEqual([Checksum.PARTIAL, 1448]);
        expect(packet.checksumStart).toBe(20);
        seen.push(flow);
        expectEveryBufferOnce(port);
        core.release(packet);
      }
    }
    expect(seen.sort()).toEqual(flows);
    for (const core of port.cores) core.flush();
    port.settle();
    port.collectAll();
    expectEveryBufferOnce(port);
    expect(port.device.pool.available).toBe(port.interconnect.plan.rxBuffers);
  });

  it.each([ALL, OFFLOAD_CHAIN | OFFLOAD_CSUM, OFFLOAD_CHAIN, 0])(
    'a large packet is sent (device: 0x%s)',
    (offloads) => {
      const port = open(offloads);
      for (const core of port.cores) {
        const payload = pattern(30_000, core.index);
        const fields = { sourcePort: 700 + core.index };
        const { bytes, tcp } = tcpPacket(payload, { ...fields, checksum: 'partial' });
        const packet = writeParts(core, bytes, [52, 100]);
        packet.requestChecksum(tcp, 16);
        packet.requestSegmentation(1400);
        expect(core.offloads).toBe(offloads);
        expect(core.addBufferToRing(packet)).toBe(true);
        expectEveryBufferOnce(port);
        core.flush();
        expectEveryBufferOnce(port);
        port.settle();
        const sent = port.device.frames.splice(0).map((frame) => [...frame.subarray(14)]);
        expect(sent).toEqual(segmentsOf(payload, 1400, fields));
        expect(core.counters().tx_queued).toBe((offloads & OFFLOAD_TSO4) !== 0 ? 1 : sent.length);
      }
      port.settle();
      expect(port.tx.isSending).toBe(false);
      expectEveryBufferOnce(port);
    },
  );

  it('what came is sent on in its own buffers', () => {
    const port = open();
    port.device.inject(ethernet(large(9)), HOW);
    port.settle();
    const core = port.cores.find(({ index }) => port.rx.rx.buffers.held[index]! > 0)!;
    const [packet] = takeAll(core);
    const { u8 } = core.memory;
    // Back to where it came from.
    const addresses = u8.slice(packet!.offset + 12, packet!.offset + 20);
    u8.set(addresses.subarray(4), packet!.offset + 12);
    u8.set(addresses.subarray(0, 4), packet!.offset + 16);
    expect(core.addBufferToRing(packet!)).toBe(true);
    core.flush();
    expectEveryBufferOnce(port);
    port.settle();
    port.collectAll();
    expect(port.device.frames).toHaveLength(Math.ceil(20_000 / 1448));
    expectEveryBufferOnce(port);
    expect(port.device.pool.available).toBe(port.interconnect.plan.rxBuffers);
  });

  it('a core with its share of the buffers loses its own packets only', () => {
    const port = open(ALL, 2048);
    const { rxShare } = port.interconnect.plan;
    const coreOf = (flow: number): number => port.cores[0]!.rssCoreForPorts(0x0a000002, 0x0a000001, flow, 80);
    const slow = 1;
    const slowFlow = Array.from({ length: 100 }, (_, i) => 4000 + i).find((flow) => coreOf(flow) === slow)!;
    const otherFlow = Array.from({ length: 100 }, (_, i) => 4000 + i).find((flow) => coreOf(flow) !== slow)!;
    const frame = ethernet(large(slowFlow, 9000));
    let others = 0;
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 4; i++) expect(port.device.inject(frame, HOW)).toBe(true);
      expect(port.device.inject(ethernet(large(otherFlow, 9000)), HOW)).toBe(true);
      // Packets in one buffer, too, for the core that is at its limit.
      port.device.inject(ethernet(large(slowFlow, 10)), { flags: CHECKSUM_PARTIAL, csumStart: 34, csumOffset: 16 });
      port.pollRx();
      expect(port.rx.rx.buffers.held[slow]).toBeLessThanOrEqual(rxShare);
      const other = port.cores[coreOf(otherFlow)]!;
      for (const packet of takeAll(other)) {
        others++;
        other.release(packet);
      }
      other.flush();
      port.pollTx();
    }
    expect(others).toBe(200);
    expectEveryBufferOnce(port);
    expectEveryFrameInOneCounter(port);
    expect(port.rx.rx.buffers.held[slow]).toBe(rxShare);
    const { rx_delivered, rx_drop_core_share } = port.inbound[slow]!.snapshot();
    expect(rx_drop_core_share).toBe(1000 - rx_delivered);
    expect(rx_drop_core_share).toBeGreaterThan(500);
  });

  it('ARP goes its way between them', () => {
    const port = open();
    port.device.inject(ethernet(large(1)), HOW);
    port.device.inject(arp());
    port.device.inject(flowPacket(1, 1));
    port.settle();
    expect(port.device.frames).toHaveLength(1);
    expectEveryBufferOnce(port);
    expectEveryFrameInOneCounter(port);
  });

  it('what the device does may change while the link is away', () => {
    const port = open();
    port.device.lose();
    port.device.offloads = OFFLOAD_CHAIN;
    port.device.restore();
    const [core] = port.cores;
    expect(core!.offloads).toBe(OFFLOAD_CHAIN);
    const payload = pattern(5000, 1);
    const { bytes, tcp } = tcpPacket(payload, { checksum: 'partial' });
    const packet = writeParts(core!, bytes, [40]);
    packet.requestChecksum(tcp, 16);
    packet.requestSegmentation(1000);
    core!.addBufferToRing(packet);
    core!.flush();
    port.settle();
    const sent = port.device.frames.map((frame) => [...frame.subarray(14)]).filter((ip) => ip[0] === 0x45);
    expect(sent).toEqual(segmentsOf(payload, 1000, {}));
    expectEveryBufferOnce(port);
  });
});
