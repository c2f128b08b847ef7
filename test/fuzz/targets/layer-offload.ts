/**
 * What a stack asks of the layer, on devices that do all, some or none of it: checksums, segmentation, packets in several
 * buffers, and received packets that are sent on. What goes onto the wire is compared with a reference.
 */
import {
  OFFLOAD_CHAIN,
  OFFLOAD_CSUM,
  OFFLOAD_ECN,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  PORT_OFFLOADS,
} from '../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, GSO, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../rings/packet-table.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';
import { SingleCore } from '../../../src/link/single-core.js';
import { FakeDevice } from '../../../src/testing/fake-device.js';
import type { SentPacket } from '../../../src/testing/fake-wire.js';
import { ACK, CWR, FIN, ipOf, type MadePacket, PSH, packetOf } from '../../support/offload/packets.js';
import { completed, faultOf, segmentsOf } from '../../support/offload/reference.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const BUFFERS = 64;
const MAX_PACKETS = 4;
const ETHERNET_BYTES = 14;

/** A packet of the stack, and what becomes of it if nothing in it is a lie. */
interface Asked {
  readonly frame: Uint8Array;
  readonly isSound: boolean;
  readonly wire: readonly Uint8Array[];
}

export const layerOffload: FuzzTarget = {
  name: 'layer-offload',
  summary:
    'a stack that asks for checksums, segments and chains on any device: the wire as a reference has it; buffers conserved',
  maxBytes: 192,
  prepare(feedback) {
    const run = (input: Input): void => {
      const shape = input.u8();
      const offloads = (shape & 0x10) === 0 ? 0 : OFFLOAD_CHAIN | (shape & PORT_OFFLOADS);
      const mtu = 576 + 4 * input.u8();
      const small = (shape & 0x20) === 0 ? {} : { txRing: 8, holdTx: true };
      const device = new FakeDevice({ offloads, mtu, buffers: BUFFERS, ...small });
      const core = new SingleCore(device, {
        address: 0x0a000001,
        prefixLength: 24,
        layer: 'ethernet',
        warn: () => {},
        clock: () => 1000,
      });
      const asked: Asked[] = [];
      let kept = 0;
      let state = 0;
      for (let n = 0; n < MAX_PACKETS && input.left > 0; n++) {
        const how = input.u8();
        const packet =
          (how & 1) === 0 ? made(core, input, how, n, mtu, asked) : receivedFrom(core, device, input, n, asked);
        if (packet === null) continue;
        if ((how & 2) !== 0) {
          core.release(packet);
          asked.pop();
        } else if (!core.addBufferToRing(packet)) {
          core.release(packet);
          asked.pop();
          kept++;
        }
        state = state * 4 + (packet.flags & 3);
      }
      for (let flushes = 0; flushes < BUFFERS && core.held().pending > 0; flushes++) {
        device.complete();
        core.flush();
      }
      const sent = device.packets;
      for (const packet of sent) checkSent(packet, offloads, mtu);
      const values = core.counters();
      // Each packet or segment is counted once.
      check(values.tx_queued! === sent.length, `${sent.length} packets were sent, ${values.tx_queued} are counted`);
      const isPlain = asked.every(({ isSound }) => isSound) && values.tx_drop_segments === 0 && kept === 0;
      if (isPlain && values.tx_lost_link_down === 0) compare(asked, sent);
      const held = core.held();
      const total = device.pool.available + device.held + held.waiting + held.pending + held.parked;
      check(total === BUFFERS, `${BUFFERS - total} buffers are lost`);
      feedback.mark((Math.min(15, sent.length) * 256 + (sent[0]?.flags ?? 0)) * 8 + (isPlain ? 1 : 0) + kept * 2);
      if (state > 0) feedback.mark(0x100_0000 + state);
    };
    return { run };
  },
};

/** A packet that the stack writes, in buffers of any sizes; what it asks for is a lie or not. */
function made(
  core: SingleCore,
  input: Input,
  how: number,
  n: number,
  mtu: number,
  asked: Asked[],
): PacketBuffer | null {
  const packet = shapeOf(input, n);
  const { frame, csumStart, csumOffset, headers } = packet;
  const isTcp = csumOffset === 16;
  const isIpv4 = ipOf(frame)!.version === 4;
  const first = getParts(
    core,
    frame,
    [headers + (input.u8() & 0x3f), 1 + (input.u16() % 1500), 1 + input.u8()],
    how >>> 6,
  );
  if (first === null) return null;
  const hasCwr = isTcp && (frame[csumStart + 13]! & CWR) !== 0;
  const size = 1 + ((100 + input.u16()) % (mtu + ETHERNET_BYTES - headers));
  let wire: Uint8Array[];
  let isSound = (how & 0x1c) !== 0x1c;
  if (!isSound) {
    // Any numbers.
    const near = input.bool();
    first.requestChecksum(
      near ? first.length - 4 + input.below(8) : input.u16() - 20,
      near ? input.below(4) : input.u8() - 2,
    );
    if (input.bool()) first.requestSegmentation(input.u16(), input.bool() ? 4 : 6, input.bool());
    wire = [];
  } else if (isTcp && (how & 4) !== 0) {
    first.requestChecksum(csumStart, csumOffset);
    first.requestSegmentation(size, isIpv4 ? 4 : 6, hasCwr);
    wire = frame.length > headers ? segmentsOf(frame, csumStart, size) : [];
    isSound = frame.length > headers;
  } else {
    first.requestChecksum(csumStart, csumOffset);
    wire = [completed(frame, csumStart, csumOffset)];
    isSound = frame.length <= mtu + ETHERNET_BYTES;
  }
  asked.push({ frame, isSound, wire });
  return first;
}

/** A packet that the device receives, with what it says of it: the stack gets all of it, and may send it on. */
function receivedFrom(
  core: SingleCore,
  device: FakeDevice,
  input: Input,
  n: number,
  asked: Asked[],
): PacketBuffer | null {
  const { frame, csumStart, csumOffset, headers } = shapeOf(input, n);
  // To the stack.
  frame.set(device.mac);
  const has = device.offloads !== 0;
  const isLong = frame.length > device.mtu + ETHERNET_BYTES;
  const size = Math.max(1, Math.min(frame.length - headers, 400));
  const isGso = has && csumOffset === 16 && frame.length > headers && (isLong || input.bool());
  const isIpv4 = ipOf(frame)!.version === 4;
  const cwr = isGso && (frame[csumStart + 13]! & CWR) !== 0 ? GSO_ECN : 0;
  const flags = (has ? CHECKSUM_PARTIAL : 0) | (isGso ? (isIpv4 ? GSO_TCP4 : GSO_TCP6) | cwr : 0);
  if (isLong && !isGso) return null;
  const parts = has ? [headers + (input.u8() & 31), 1 + input.u8(), 1 + (input.u16() % 1900)] : [];
  if (!device.inject(frame, { flags, gsoSize: isGso ? size : 0, csumStart, csumOffset, parts })) return null;
  if (core.getRxCount() === 0) return null;
  const packet = core.getBufferRx();
  if (packet === null) return null;
  check(packet.totalLength === frame.length, `${packet.totalLength} bytes of ${frame.length} were received`);
  const copy = new Uint8Array(frame.length + 8);
  check(packet.copyTo(copy, 4) === frame.length, 'copyTo copies another number of bytes');
  check(same(copy.subarray(4, 4 + frame.length), frame), 'other bytes were received');
  const wire = isGso ? segmentsOf(frame, csumStart, size) : [has ? completed(frame, csumStart, csumOffset) : frame];
  asked.push({ frame, isSound: true, wire });
  return packet;
}

function shapeOf(input: Input, n: number): MadePacket {
  const kind = input.u8();
  return packetOf({
    protocol: (kind & 1) === 0 ? 'tcp' : 'udp',
    version: (kind & 2) === 0 ? 4 : 6,
    payload: input.u16() % ((kind & 0x30) === 0 ? 5000 : 1200),
    tags: (kind & 0x0c) === 4 ? 1 : 0,
    tcpOptions: (kind & 0x0c) === 8 ? 12 : 0,
    ipOptions: (kind & 0x0c) === 12 ? 8 : 0,
    flags: ACK | (input.u8() & (FIN | PSH | CWR)),
    sequence: input.u32(),
    identification: 0xfff8 + n,
    seed: n + 1,
  });
}

/** The frame in buffers of these sizes, and as many more as it takes; null when there are too few. */
function getParts(core: SingleCore, frame: Uint8Array, sizes: readonly number[], skip: number): PacketBuffer | null {
  let first: PacketBuffer | null = null;
  for (let done = 0, i = 0; done < frame.length; i++) {
    const part = core.getBufferTx();
    if (part === null) {
      if (first !== null) core.release(first);
      return null;
    }
    const from = first === null ? 0 : skip;
    const bytes = Math.min(frame.length - done, part.capacity - from, sizes[i] ?? 1400);
    core.memory.u8.set(frame.subarray(done, done + bytes), part.offset + from);
    part.length = bytes;
    if (first === null) first = part;
    else first.append(part, from);
    done += bytes;
  }
  return first;
}

/** The device is asked for nothing that it does not do, and for nothing beyond the packet. */
function checkSent(
  { frame, parts, flags, gsoSize, csumStart, csumOffset }: SentPacket,
  offloads: number,
  mtu: number,
): void {
  check((flags & CHECKSUM_PARTIAL) === 0 || (offloads & OFFLOAD_CSUM) !== 0, 'the device does no checksums');
  check((flags & GSO_TCP4) === 0 || (offloads & OFFLOAD_TSO4) !== 0, 'the device does no TSO4');
  check((flags & GSO_TCP6) === 0 || (offloads & OFFLOAD_TSO6) !== 0, 'the device does no TSO6');
  check((flags & GSO_ECN) === 0 || (offloads & OFFLOAD_ECN) !== 0, 'the device does no ECN');
  check(parts.length === 1 || (offloads & OFFLOAD_CHAIN) !== 0, 'the device takes no chains');
  if ((flags & CHECKSUM_PARTIAL) !== 0) {
    check(
      csumStart >= ETHERNET_BYTES && csumOffset >= 0 && csumStart + csumOffset + 2 <= parts[0]!,
      `a sum at ${csumStart}`,
    );
  }
  if ((flags & GSO) === 0) check(frame.length <= mtu + ETHERNET_BYTES, `a frame of ${frame.length} bytes`);
  else {
    const headers = csumStart + 4 * (frame[csumStart + 12]! >> 4);
    check(gsoSize >= 1 && headers + gsoSize <= mtu + ETHERNET_BYTES, `segments of ${gsoSize} bytes`);
    check(headers <= parts[0]! && headers < frame.length, 'headers in several parts');
  }
}

/** What was sent, as it goes onto the wire, is what was asked for, in order. */
function compare(asked: readonly Asked[], sent: readonly SentPacket[]): void {
  const wire = sent.flatMap(({ frame, flags, gsoSize, csumStart, csumOffset }) => {
    if ((flags & GSO) !== 0) return segmentsOf(frame, csumStart, gsoSize);
    return [(flags & CHECKSUM_PARTIAL) !== 0 ? completed(frame, csumStart, csumOffset) : frame];
  });
  const wanted = asked.flatMap((each) => each.wire);
  check(wire.length === wanted.length, `${wire.length} frames, not ${wanted.length}`);
  for (const [i, frame] of wire.entries()) {
    check(same(frame, wanted[i]!), `frame ${i} is another one`);
    // A frame that was received without offloads keeps the checksum that it had.
    const fault = faultOf(frame);
    check(fault === '' || fault.startsWith('a wrong checksum of protocol'), fault);
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
