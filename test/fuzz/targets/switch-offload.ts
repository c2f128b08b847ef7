/**
 * A packet from one guest to another through the switch: the sender leaves checksums and segmentation to others and may
 * lie about it, the receiver takes some of that or nothing. What arrives is compared with a reference.
 */
import { copierFor, type MemoryViews } from '../../../drivers/memory/index.js';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../drivers/offloads.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { makeQueueCounters, QueueCounter } from '../../../drivers/virtio/device/queue-counters.js';
import { DeviceRxQueue } from '../../../drivers/virtio/device/rx-queue.js';
import { SoftwareOffload } from '../../../drivers/virtio/device/software-offload.js';
import { DeviceTxQueue, MAX_FRAME_BYTES } from '../../../drivers/virtio/device/tx-queue.js';
import { ACK, CWR, FIN, type MadePacket, PSH, packetOf, sumOf } from '../../support/offload/packets.js';
import { completed, faultOf, segmentsOf } from '../../support/offload/reference.js';
import { type DriverModel, MEMORY_BYTES } from '../../support/virtio/driver-model.js';
import { PackedDriverModel } from '../../support/virtio/packed-driver-model.js';
import { SplitDriverModel } from '../../support/virtio/split-driver-model.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const { packets, bytes, badHead, tooLong, noBuffer, noRoom, smallBuffer, noDriver, badOffload } = QueueCounter;
const HEADER = 12;
const CANARY = 0xee;
const NEEDS_CSUM = 1;
const INDICES = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const MAX_PACKETS = 4;
/** Larger than the sizes of segments and buffers. */
const LARGE = 3000;
/** Where the models have their rings and their first buffer. */
const RING_AREAS = [0x1000, 0x1_1000, 0x1_8000];
const BUFFERS = 0x4_0000;

/** A packet as the sender offers it. */
interface Sent extends MadePacket {
  readonly header: Buffer;
  /** Nothing in it is a lie: it must arrive, if there is room. */
  readonly isSound: boolean;
}

/** A frame as the receiver finds it, behind its header. */
interface Got {
  readonly frame: Uint8Array;
  readonly header: Buffer;
}

const field = (header: Buffer, at: number): number => header.readUInt16LE(at);

export const switchOffload: FuzzTarget = {
  name: 'switch-offload',
  summary: 'guest to guest with offloads: lies in headers and packets; each frame as a reference has it, or counted',
  maxBytes: 96,
  prepare(feedback) {
    const memories = [viewsOf(), viewsOf()] as const;
    for (const memory of memories) copierFor(memory);
    const software = new SoftwareOffload();

    const run = (input: Input): void => {
      const shape = input.u8();
      const offered = input.u8();
      const sender = driverOf(memories[0], (shape & 1) !== 0, {
        indirect: true,
        headerBytes: HEADER,
        offloads: OFFLOAD_CSUM | (offered & (OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN)),
      });
      // With TSO and without CSUM nothing can be negotiated; the backend leaves such bits out.
      const taken = (offered & 0x10) !== 0 ? OFFLOAD_CSUM | ((offered >> 4) & 14) : 0;
      const receiver = driverOf(memories[1], (shape & 2) !== 0, {
        mergeable: (shape & 4) !== 0,
        headerBytes: (shape & 0x1c) === 8 ? 10 : HEADER,
        offloads: taken,
      });
      const tx = new DeviceTxQueue(sender, sender.place, sender.options);
      const rx = new DeviceRxQueue(receiver, receiver.place, { ...receiver.options, software });
      if ((shape & 0x20) !== 0) rx.longestFrame = 600 + 8 * input.u8();
      const buffers = post(input, receiver, memories[1]);

      // One packet that may be anything, or some that are sound: so it is known which frame is of which packet.
      const count = (shape & 0x40) !== 0 ? 1 + input.below(MAX_PACKETS) : 1;
      const sent = Array.from({ length: count }, (_, i) => packetFrom(input, i, (shape & 0x40) !== 0, sender));
      for (const packet of sent) offer(input, sender, memories[0], packet);
      const end = sender.buffer(0);
      const before = memories[0].u8.slice(BUFFERS, end);

      const burst = new PacketBurst(memories[0]);
      const got = tx.take(burst, MAX_BURST);
      const { counts } = tx.ring;
      check(counts[packets] === got && got + refusedOf(counts) === count, `${got} of ${count} packets, others lost`);
      checkFlags(burst, sender.options.offloads ?? 0);
      const flags = Array.from({ length: got }, (_, i) => (burst.offloaded === 0 ? 0 : burst.flags[i]!));
      const delivered = rx.put(burst, INDICES, got);
      const dropped = droppedOf(rx.ring.counts);
      check(delivered + dropped === got, `${got} packets: ${delivered} delivered and ${dropped} dropped`);
      tx.complete();
      check(same(memories[0].u8.subarray(BUFFERS, end), before), 'the sender’s memory was written');

      const frames = received(receiver, buffers, memories[1]);
      check(
        rx.ring.counts[packets] === frames.length,
        `${frames.length} frames are counted ${rx.ring.counts[packets]}`,
      );
      const sum = frames.reduce((all, { frame }) => all + frame.length, 0);
      check(delivered <= frames.length, 'a packet was delivered as no frame');
      check(rx.ring.counts[bytes] === sum, 'bytes are not counted');
      checkFrames(frames, taken, rx.longestFrame);
      const passed = sent.filter((packet) => packet.isSound);
      if (passed.length === count) {
        check(got === count, 'a sound packet was refused');
        check(rx.ring.counts[badOffload] === 0, 'a sound packet cannot be cut');
        compare(sent, frames, delivered);
      }
      feedback.mark(
        (((flags[0] ?? 0xff) * 32 + taken) * 8 + Math.min(7, frames.length)) * 16 +
          (delivered === got
            ? 0
            : 1 + (rx.ring.counts[badOffload]! > 0 ? 1 : 0) + (rx.ring.counts[tooLong]! > 0 ? 2 : 0)),
      );
    };
    return { run };
  },
};

function viewsOf(): MemoryViews {
  const buffer = new SharedArrayBuffer(MEMORY_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

/** A driver with an empty ring. */
function driverOf(memory: MemoryViews, packed: boolean, options: object): DriverModel {
  for (const at of RING_AREAS) memory.u8.fill(0, at, at + 1024);
  const all = { size: 32, packed, callFd: -1, counts: makeQueueCounters(), ...options };
  return packed ? new PackedDriverModel(all, memory) : new SplitDriverModel(all, memory);
}

/** Posts buffers of one size, with bytes around them that nobody may write. Returns the offset of each id. */
function post(input: Input, driver: DriverModel, { u8 }: MemoryViews): Map<number, { offset: number; length: number }> {
  const length = 20 + 4 * input.u8() + (input.bool() ? LARGE : 0);
  const count = 1 + input.below(32);
  const skew = input.below(8);
  const buffers = new Map<number, { offset: number; length: number }>();
  u8.fill(CANARY, BUFFERS, BUFFERS + count * (length + 128));
  for (let i = 0; i < count; i++) {
    const offset = driver.buffer(length + 16, skew + 8);
    buffers.set(driver.offer([{ offset, length, write: true }]), { offset, length });
  }
  return buffers;
}

/** A packet of any shape with its virtio-net header; with `isSound` as the features of the driver allow. */
function packetFrom(input: Input, i: number, isSound: boolean, driver: DriverModel): Sent {
  const kind = input.u8();
  const isTcp = (kind & 1) === 0;
  const version = (kind & 2) === 0 ? 4 : 6;
  const made = packetOf({
    protocol: isTcp ? 'tcp' : 'udp',
    version,
    payload: (kind & 0xcc) === 0xcc ? input.u16() : input.u16() % 4000,
    tags: (kind & 0x0c) === 4 ? 1 : (kind & 0x0c) === 8 ? 2 : 0,
    ipOptions: (kind & 0x30) === 0x10 ? 8 : 0,
    tcpOptions: (kind & 0x30) === 0x20 ? 12 : 0,
    flags: ACK | (input.u8() & (FIN | PSH | CWR)),
    sequence: input.u32(),
    identification: 0xfff0 + i * 16,
    seed: i + 1,
  });
  const { csumStart, csumOffset, headers } = made;
  const frame = made.frame.subarray(0, MAX_FRAME_BYTES);
  const payload = frame.length - headers;
  const offloads = driver.options.offloads ?? 0;
  const header = Buffer.alloc(HEADER);
  header[0] = NEEDS_CSUM;
  if ((kind & 0x30) === 0x30) makeSumZero(frame, csumStart, headers);
  // Linux's smallest segment size is 48 bytes; a larger packet would have too many segments.
  const size = Math.max(48, 1 + (input.u16() % 2000));
  const hasCwr = isTcp && (frame[csumStart + 13]! & CWR) !== 0;
  const isAllowed =
    (offloads & (version === 4 ? OFFLOAD_TSO4 : OFFLOAD_TSO6)) !== 0 && (!hasCwr || (offloads & OFFLOAD_ECN) !== 0);
  const isGso = isTcp && payload >= size && (isAllowed || !isSound) && (kind & 0x40) === 0;
  if (isGso) header[1] = (version === 4 ? 1 : 4) | (hasCwr ? 0x80 : 0);
  header.writeUInt16LE(input.u16(), 2);
  header.writeUInt16LE(isGso ? size : 0, 4);
  header.writeUInt16LE(csumStart, 6);
  header.writeUInt16LE(csumOffset, 8);
  const isWhole = made.frame.length === frame.length && frame.length - csumStart <= 65_535;
  if (isSound && isWhole) return { ...made, frame, header, isSound: true };
  for (let lies = 1 + input.below(3); lies > 0; lies--) lie(input, header, frame, headers);
  return { ...made, frame, header, isSound: false };
}

/** Changes a word of the payload so that the complete checksum is 0, which UDP must not send (RFC 768). */
function makeSumZero(frame: Uint8Array, csumStart: number, headers: number): void {
  if (frame.length < headers + 2) return;
  const view = new DataView(frame.buffer);
  view.setUint16(headers, 0);
  view.setUint16(headers, 0xffff - sumOf(frame.subarray(csumStart)));
}

/** Changes a field of the virtio-net header, or a byte of the packet's headers. */
function lie(input: Input, header: Buffer, frame: Uint8Array, headers: number): void {
  switch (input.below(8)) {
    case 0:
      header[0] = input.u8();
      break;
    case 1:
      header[1] = input.u8();
      break;
    case 2:
      header.writeUInt16LE(input.u16(), 2 * (2 + input.below(3)));
      break;
    case 3:
      // Around the end of the packet.
      header.writeUInt16LE((frame.length - 16 + input.below(32)) & 0xffff, 6 + 2 * input.below(2));
      break;
    case 4:
      header.writeUInt16LE(input.u8(), 4 + 2 * input.below(3));
      break;
    default:
      frame[input.u8() % Math.min(headers, frame.length)] = input.u8();
  }
}

/** Offers the packet in one to four pieces of any length, perhaps in an indirect table. */
function offer(input: Input, driver: DriverModel, { u8 }: MemoryViews, { header, frame }: Sent): void {
  const length = HEADER + frame.length;
  const offset = driver.buffer(length, input.below(8));
  u8.set(header, offset);
  u8.set(frame, offset + HEADER);
  const pieces = input.u8();
  const ends = [input.u8(), input.u8() * 16, input.u16()].slice(0, pieces & 3).map((end) => 1 + (end % (length - 1)));
  const cuts = [...new Set([0, ...ends, length])].sort((a, b) => a - b);
  const parts = cuts.slice(1).map((end, i) => ({ offset: offset + cuts[i]!, length: end - cuts[i]! }));
  driver.offer(parts, (pieces & 4) === 0 ? parts.length : 0);
}

/** What the burst says of each packet lies within it, and was negotiated. */
function checkFlags(burst: PacketBurst, offloads: number): void {
  let flagged = 0;
  for (let i = 0; i < burst.count && burst.offloaded !== 0; i++) {
    const flags = burst.flags[i]!;
    if (flags === 0) continue;
    flagged++;
    const start = burst.csumStart[i]!;
    check((flags & 1) !== 0 && (flags & ~0x39) === 0, `flags ${flags}`);
    check(start >= 14 && start + burst.csumOffset[i]! + 2 <= burst.length[i]!, `a sum from ${start} on`);
    if ((flags & 0x18) === 0) continue;
    check(burst.gsoSize[i]! > 0, 'segments of 0 bytes');
    check((flags & 8) === 0 || (offloads & OFFLOAD_TSO4) !== 0, 'TSO4 was not negotiated');
    check((flags & 16) === 0 || (offloads & OFFLOAD_TSO6) !== 0, 'TSO6 was not negotiated');
    check((flags & 32) === 0 || (offloads & OFFLOAD_ECN) !== 0, 'ECN was not negotiated');
  }
  check(flagged === burst.offloaded, `${flagged} packets have flags, not ${burst.offloaded}`);
}

const sumOfCounters = (counts: Float64Array, list: readonly number[]): number =>
  list.reduce((sum, counter) => sum + counts[counter]!, 0);

function refusedOf(counts: Float64Array): number {
  let refused = counts[badOffload]!;
  for (let c = badHead as number; c <= tooLong; c++) refused += counts[c]!;
  return refused;
}

const droppedOf = (counts: Float64Array): number =>
  sumOfCounters(counts, [noBuffer, noRoom, noDriver, tooLong, badOffload]);

/** What the receiver finds: checks num_buffers, the used lengths, and that nothing around the buffers was written. */
function received(
  driver: DriverModel,
  buffers: Map<number, { offset: number; length: number }>,
  { u8 }: MemoryViews,
): Got[] {
  const { headerBytes, mergeable, counts } = driver.options;
  for (const { offset, length } of buffers.values()) {
    for (let i = 1; i <= 8; i++) {
      check(u8[offset - i] === CANARY && u8[offset + length + i - 1] === CANARY, 'a byte outside a buffer was written');
    }
  }
  // A buffer that is too small for the header comes back empty.
  const used = driver.takeUsed().filter(({ length }) => length > 0);
  check(counts[smallBuffer]! === 0, 'no buffer is too small for a header');
  const found: Got[] = [];
  for (let at = 0; at < used.length; ) {
    const first = buffers.get(used[at]!.id)!;
    const header = Buffer.alloc(HEADER, u8.slice(first.offset, first.offset + headerBytes));
    if (headerBytes < HEADER) header.writeUInt16LE(1, 10);
    const count = field(header, 10);
    check(count >= 1 && at + count <= used.length && (mergeable || count === 1), `a packet in ${count} buffers`);
    const parts = used.slice(at, at + count).map(({ id, length: written }, i) => {
      const { offset, length } = buffers.get(id)!;
      check(written <= length && (written === length || i === count - 1), `${written} bytes in a buffer of ${length}`);
      return u8.slice(offset, offset + written);
    });
    found.push({ frame: Uint8Array.from(Buffer.concat(parts)).subarray(headerBytes), header });
    at += count;
  }
  return found;
}

/** 5.1.6.4.1: the headers of what arrives say what was negotiated, and are true; and no frame is too long. */
function checkFrames(frames: readonly Got[], taken: number, longest: number): void {
  for (const { frame, header } of frames) {
    const flags = header[0]!;
    const type = header[1]!;
    check((flags & ~NEEDS_CSUM) === 0 && (flags === 0 || (taken & OFFLOAD_CSUM) !== 0), `header flags ${flags}`);
    const start = field(header, 6);
    if (flags !== 0) check(start >= 14 && start + field(header, 8) + 2 <= frame.length, `csum_start ${start}`);
    if (type === 0) {
      check(frame.length <= longest, `a frame of ${frame.length} bytes where ${longest} are allowed`);
      continue;
    }
    const kind = type & 0x7f;
    check(kind === 1 || kind === 4, `gso_type ${type}`);
    check((taken & (kind === 1 ? OFFLOAD_TSO4 : OFFLOAD_TSO6)) !== 0, `gso_type ${type} was not negotiated`);
    check((type & 0x80) === 0 || (taken & OFFLOAD_ECN) !== 0, 'ECN was not negotiated');
    check(flags !== 0 && field(header, 4) > 0, 'gso_type without NEEDS_CSUM or gso_size');
  }
}

/** Each frame is of its packet: whole and untouched, completed, or a segment. All of as many packets as were delivered. */
function compare(sent: readonly Sent[], frames: readonly Got[], delivered: number): void {
  let next = 0;
  let complete = 0;
  for (const { frame, csumStart, csumOffset, header } of sent) {
    const got = frames[next];
    if (got === undefined) break;
    const size = field(header, 4);
    if (size > 0 && got.header[1] !== 0 && same(got.frame, frame)) {
      check(header[1] === got.header[1] && field(got.header, 4) === size, 'another gso_type or gso_size');
      check(field(got.header, 6) === csumStart && field(got.header, 8) === csumOffset, 'another place of the sum');
      next++;
      complete++;
      continue;
    }
    const segments = size > 0 ? segmentsOf(frame, csumStart, size) : [completed(frame, csumStart, csumOffset)];
    let matched = 0;
    for (; matched < segments.length && next < frames.length; matched++, next++) {
      const { frame: found, header: given } = frames[next]!;
      const whole = given[0] === 0 ? found : completed(found, field(given, 6), field(given, 8));
      if (!same(whole, segments[matched]!)) break;
      check(given[1] === 0, 'a segment that is to be segmented');
      check(faultOf(whole) === '', faultOf(whole));
    }
    if (matched === segments.length) complete++;
  }
  check(next === frames.length, `frame ${next} of ${frames.length} is of no packet`);
  check(complete === delivered, `${complete} packets arrived, not ${delivered}`);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
