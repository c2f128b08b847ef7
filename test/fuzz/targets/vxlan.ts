/**
 * Tunnels of the switch: packets from a hostile host into BPF, VXLANDecap and L2Forward, and frames of a hostile VM into
 * SetMetadata, VXLANEncap, IPEncap and EtherEncap. Each packet is delivered or counted once, and what is delivered is what
 * an independent decoder finds.
 */
import { Batch, emptyBurst } from '../../../bess/modules/batch.js';
import { Bpf } from '../../../bess/modules/bpf.js';
import { L2Forward } from '../../../bess/modules/l2-forward.js';
import { Metadata } from '../../../bess/modules/metadata/attribute.js';
import { bytesOfInteger, SetMetadata } from '../../../bess/modules/metadata/set-metadata.js';
import { Module } from '../../../bess/modules/module.js';
import { EtherEncap } from '../../../bess/modules/tunnel/ether-encap.js';
import { HeaderMemory } from '../../../bess/modules/tunnel/header-memory.js';
import { IpEncap } from '../../../bess/modules/tunnel/ip-encap.js';
import { VxlanDecap } from '../../../bess/modules/tunnel/vxlan-decap.js';
import { VxlanEncap } from '../../../bess/modules/tunnel/vxlan-encap.js';
import { copierFor, type MemoryViews } from '../../../drivers/memory/index.js';
import { MAX_BURST, type PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO, GSO_TCP4, GSO_TCP6 } from '../../../rings/packet-table.js';
import { carriedBy, carrying, headerSum, isCarrier, OUTER } from '../../support/bess/vxlan-reference.js';
import { ipOf, packetOf } from '../../support/offload/packets.js';
import { completed, segmentsOf } from '../../support/offload/reference.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MEMORY_BYTES = 1 << 19;
const MAX_PACKETS = 4;
const STATION = [0x52, 0x54, 0, 0, 0, 1];
const HEADERS = 50;

/** What a packet leaves to others. */
interface Left {
  readonly flags: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}
const NOTHING: Left = { flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

interface Sent {
  readonly frame: Uint8Array;
  readonly left: Left;
  readonly number: number;
  /** Nothing in it is a lie: then it is known which segments it is cut into. */
  readonly isSound: boolean;
}

interface Got {
  readonly frame: Uint8Array;
  readonly left: Left;
  readonly number: number;
  readonly tunnel: readonly number[];
}

/** Keeps what comes to it. */
class Collector extends Module {
  override readonly className = 'Collector';
  readonly got: Got[] = [];

  constructor(
    name: string,
    private readonly metadata: Metadata,
  ) {
    super(name);
  }

  override process({ burst, indices, count }: Batch): void {
    for (const number of indices.subarray(0, count)) {
      const parts: Uint8Array[] = [];
      for (let s = burst.firstSegment[number]!; s < burst.firstSegment[number + 1]!; s++) {
        check(burst.segmentLength[s]! > 0, 'a segment without bytes');
        parts.push(burst.memory.u8.slice(burst.segmentOffset[s]!, burst.segmentOffset[s]! + burst.segmentLength[s]!));
      }
      const frame = Uint8Array.from(Buffer.concat(parts));
      check(frame.length === burst.length[number], `${frame.length} bytes, not ${burst.length[number]}`);
      const tunnel = ['tun_ip_src', 'tun_ip_dst', 'tun_id'].flatMap((name) =>
        Array.from(this.metadata.attribute(name, 4).bytes.subarray(number * 4, number * 4 + 4)),
      );
      this.got.push({ frame, left: leftOf(burst, number), number, tunnel });
    }
  }
}

function leftOf(burst: PacketBurst, i: number): Left {
  const flags = burst.offloaded === 0 ? 0 : burst.flags[i]!;
  if (flags === 0) return NOTHING;
  const gsoSize = (flags & GSO) === 0 ? 0 : burst.gsoSize[i]!;
  return { flags, gsoSize, csumStart: burst.csumStart[i]!, csumOffset: burst.csumOffset[i]! };
}

export const vxlan: FuzzTarget = {
  name: 'vxlan',
  summary:
    'tunnels: hostile packets into BPF, VXLANDecap, L2Forward, hostile frames into the encaps; each counted once',
  maxBytes: 160,
  prepare(feedback) {
    const metadata = new Metadata();
    const headers = new HeaderMemory(null);
    // In the memory of the headers, and in another one: then packets are copied to get headers.
    const own = headers.take(MEMORY_BYTES);
    const memories: readonly (readonly [MemoryViews, number])[] = [
      [own.memory, own.offset],
      [viewsOf(), 0],
    ];
    for (const [memory] of memories) copierFor(memory);
    const inner = new Collector('inner', metadata);
    const other = new Collector('other', metadata);
    const unmatched = new Collector('unmatched', metadata);
    const outer = new Collector('outer', metadata);
    const bpf = new Bpf('bpf', [{ priority: 1, filter: 'udp dst port 4789', gate: 1 }]);
    const decap = new VxlanDecap('decap', metadata);
    const table = new L2Forward('table');
    table.add([{ addr: STATION.map((octet) => octet.toString(16)).join(':'), gate: 0 }]);
    table.setDefaultGate(1);
    bpf.connect(0, unmatched, 0);
    bpf.connect(1, decap, 0);
    decap.connect(0, table, 0);
    table.connect(0, inner, 0);
    table.connect(1, other, 0);
    const host = new SetMetadata('host', metadata, hostSettings());
    host.first = host.writes;
    const encaps = [
      new VxlanEncap('vxlan', metadata, headers),
      new IpEncap('ip', metadata, headers),
      new EtherEncap('ether', metadata, headers),
    ] as const;
    [host, ...encaps, outer].reduce((from, to) => {
      from.connect(0, to, 0);
      return to;
    });
    const collectors = [inner, other, unmatched, outer];
    const refused = (): number => decap.refused + encaps.reduce((sum, encap) => sum + encap.refused, 0);

    const run = (input: Input): void => {
      for (const { got } of collectors) got.length = 0;
      const shape = input.u8();
      const isIn = (shape & 1) === 0;
      const [memory, start] = memories[(shape >> 1) & 1]!;
      const sent: Sent[] = [];
      const count = 1 + ((shape >> 2) & 3);
      for (let i = 0, number = (shape >> 4) & 7; i < Math.min(count, MAX_PACKETS); i++, number += 1 + input.below(5)) {
        sent.push({ ...(isIn ? hostilePacket(input) : hostileFrame(input)), number });
      }
      const { batch, end } = place(input, sent, memory, start);
      const before = memory.u8.slice(start, end);
      const [refusedBefore, cutBefore] = [refused(), encaps[0].cut];
      (isIn ? bpf : host).process(batch);
      check(Buffer.compare(memory.u8.slice(start, end), before) === 0, 'a packet of a sender was written');
      const delivered = collectors.reduce((sum, { got }) => sum + got.length, 0);
      const cut = encaps[0].cut - cutBefore;
      const dropped = refused() - refusedBefore;
      check(delivered + dropped === sent.length + cut, `${delivered} + ${dropped}, of ${sent.length} + ${cut}`);
      if (isIn) checkInner(sent, inner.got, other.got, unmatched.got);
      else checkOuter(sent, outer.got);
      feedback.mark((((shape & 3) * 8 + Math.min(delivered, 7)) * 8 + Math.min(dropped, 7)) * 4 + Math.min(cut, 3));
    };
    return { run };
  },
};

function viewsOf(): MemoryViews {
  const buffer = new SharedArrayBuffer(MEMORY_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

function hostSettings() {
  const octets = (ip: string): Uint8Array => Uint8Array.from(ip.split('.').map(Number));
  const values: [string, Uint8Array][] = [
    ['tun_ip_src', octets(OUTER.source)],
    ['tun_ip_dst', octets(OUTER.destination)],
    ['tun_id', bytesOfInteger(OUTER.vni, 4)!],
    ['ether_src', Uint8Array.from(OUTER.etherSource)],
    ['ether_dst', Uint8Array.from(OUTER.etherDestination)],
  ];
  return values.map(([name, value]) => ({ name, size: value.length, value, offset: 0, mask: null, shift: 0 }));
}

/** A frame as a VM may send it, and what it leaves to others, as the code that fills bursts lets it through. */
function hostileFrame(input: Input): Omit<Sent, 'number'> {
  const kind = input.u8();
  const version = (kind & 1) === 0 ? 4 : 6;
  const protocol = (kind & 2) === 0 ? 'tcp' : 'udp';
  const tags = (kind & 0x0c) >> 2;
  const payload = kind === 0xf4 ? input.u16() : (kind & 0xc0) === 0xc0 ? input.u16() % 3000 : input.u8();
  const made = packetOf({ version, protocol, tags, payload, ipOptions: (kind & 16) === 0 ? 0 : 8 });
  let { frame } = made;
  frame.set(input.bool() ? STATION : [2, 0, 0, 0, 0, 9]);
  if ((kind & 32) !== 0) frame = nested(input, frame);
  const isChanged = mutate(input, frame) || (kind & 32) !== 0;
  const left = leftTo(input, frame, made.csumStart, made.csumOffset);
  const isSound = !isChanged && left.csumStart === made.csumStart && left.csumOffset === made.csumOffset;
  const cut = left.flags === 0 && input.below(8) === 1 ? input.u8() % frame.length : frame.length;
  return { frame: frame.slice(0, Math.max(1, cut)), left, isSound };
}

/** The frame in a tunnel of VXLAN, or nearly so. */
function nested(input: Input, frame: Uint8Array): Uint8Array {
  const kind = input.u8();
  const tag = [0x81, 0, 0, 1];
  const words = (kind & 1) === 0 ? 5 : 5 + input.below(11);
  const port = (kind & 2) === 0 ? 4789 : 8472;
  const carrier = carrying(frame, { port }, { words, ...((kind & 4) === 0 ? {} : { flags: input.u8() }) });
  if ((kind & 8) === 0) return carrier;
  return Uint8Array.from([
    ...carrier.subarray(0, 12),
    ...tag,
    ...((kind & 16) === 0 ? [] : tag),
    ...carrier.subarray(12),
  ]);
}

/** Changes up to three bytes of the headers. Returns whether it has. */
function mutate(input: Input, frame: Uint8Array): boolean {
  const changes = input.below(4);
  for (let i = 0; i < changes; i++) frame[input.u8() % Math.min(120, frame.length)] = input.u8();
  return changes > 0;
}

/** What may be left to others of a packet: true or not, but within the packet (drivers/virtio/device/offload-reader.ts). */
function leftTo(input: Input, frame: Uint8Array, start: number, offset: number): Left {
  const kind = input.u8();
  if ((kind & 3) === 0) return NOTHING;
  if ((kind & 3) === 1) return { ...NOTHING, flags: CHECKSUM_VERIFIED };
  const csumStart = (kind & 4) === 0 ? start : 14 + (input.u16() % 200);
  const csumOffset = (kind & 4) === 0 ? offset : input.u8();
  if (csumStart + csumOffset + 2 > frame.length) return NOTHING;
  const gsoSize = Math.max(48, 1 + (input.u16() % 2000));
  const ip = ipOf(frame);
  const isGso = (kind & 24) === 8 && csumOffset === 16 && ip !== null && gsoSize <= frame.length - csumStart - 20;
  const gso = isGso && ip.at <= 22 ? (ip.version === 4 ? GSO_TCP4 : GSO_TCP6) : 0;
  return { flags: CHECKSUM_PARTIAL | gso, gsoSize: gso === 0 ? 0 : gsoSize, csumStart, csumOffset };
}

/** A packet as a host may send it to us. */
function hostilePacket(input: Input): Omit<Sent, 'number'> {
  const kind = input.u8();
  const inner = hostileFrame(input).frame.slice(0, 9000);
  const wrong = {
    ...((kind & 1) === 0 ? {} : { words: input.below(16) }),
    ...((kind & 2) === 0 ? {} : { total: input.u16() }),
    ...((kind & 4) === 0 ? {} : { udpBytes: (kind & 8) === 0 ? input.u16() : 16 + inner.length - input.u8() }),
    ...((kind & 16) === 0
      ? {}
      : input.bool()
        ? { fragment: input.pick([0x2000, 0x6000, 0x0001]) }
        : { flags: input.u8() }),
    ...((kind & 32) === 0 ? {} : { padding: input.u8() }),
  };
  const frame = carrying(inner, { vni: input.u16() * 256 + 5, port: (kind & 64) === 0 ? 4789 : input.u16() }, wrong);
  mutate(input, frame);
  const sum = 14 + 4 * (frame[14]! & 15);
  if ((kind & 128) === 0 && sum <= frame.length && sum >= 34) {
    frame.set([0, 0], 24);
    const right = headerSum(frame.subarray(14, sum));
    frame.set([right >>> 8, right & 255], 24);
  }
  const ip = ipOf(inner);
  const start = HEADERS + (ip === null ? 34 : ip.at + (ip.version === 4 ? 20 : 40));
  const left = leftTo(input, frame, start, 16);
  const cut = left.flags === 0 && input.below(8) === 1 ? 14 + (input.u8() % (frame.length - 13)) : frame.length;
  return { frame: frame.slice(0, cut), left, isSound: false };
}

/** Puts packets into the memory in up to four pieces each, anywhere, with bytes between them. */
function place(input: Input, sent: readonly Sent[], memory: MemoryViews, start: number) {
  const burst = emptyBurst();
  burst.memory = memory;
  const { u8 } = memory;
  const batch = new Batch();
  batch.beginOver(burst, batch);
  let at = start;
  for (const { frame, left, number } of sent) {
    const pieces = input.u8();
    const ends = [input.u8(), input.u8(), input.u16()].slice(0, pieces & 3).map((end) => 1 + (end % frame.length));
    const cuts = [...new Set([0, ...ends, frame.length])].sort((a, b) => a - b);
    burst.firstSegment[number] = burst.segments;
    for (const [i, end] of cuts.slice(1).entries()) {
      at += 1 + ((pieces >> 2) & 7);
      u8.set(frame.subarray(cuts[i], end), at);
      burst.segmentOffset[burst.segments] = at;
      burst.segmentLength[burst.segments++] = end - cuts[i]!;
      at += end - cuts[i]!;
    }
    burst.firstSegment[number + 1] = burst.segments;
    burst.length[number] = frame.length;
    burst.flags[number] = left.flags;
    burst.gsoSize[number] = left.gsoSize;
    burst.csumStart[number] = left.csumStart;
    burst.csumOffset[number] = left.csumOffset;
    if (left.flags !== 0) burst.offloaded++;
    batch.add(number);
  }
  burst.count = MAX_BURST;
  check(at <= start + MEMORY_BYTES, 'the packets do not fit the memory');
  return { batch, end: at };
}

/** Whether `udp dst port 4789` matches. */
function isToTunnel(frame: Uint8Array): boolean {
  const word = (at: number): number => frame[at]! * 256 + frame[at + 1]!;
  if (frame.length < 34) return false;
  const isIpv4 = word(12) === 0x0800;
  const udp = isIpv4 ? 14 + 4 * (frame[14]! & 15) : 54;
  if (!isIpv4 && (word(12) !== 0x86dd || frame.length < 54)) return false;
  if (frame[isIpv4 ? 23 : 20] !== 17 || (isIpv4 && word(20) % 0x2000 !== 0)) return false;
  return udp + 4 <= frame.length && word(udp + 2) === 4789;
}

function checkInner(
  sent: readonly Sent[],
  inner: readonly Got[],
  other: readonly Got[],
  unmatched: readonly Got[],
): void {
  for (const { frame, left, number } of sent) {
    const missed = unmatched.filter((got) => got.number === number);
    check((missed.length === 1) === !isToTunnel(frame), 'BPF has chosen another gate');
    if (missed.length === 1) {
      check(same(missed[0]!.frame, frame), 'BPF has changed a packet');
      continue;
    }
    const [got, ...more] = [...inner, ...other].filter((one) => one.number === number);
    check(more.length === 0, 'a packet came out twice');
    const carried = carriedBy(frame);
    const isGood = typeof carried !== 'string' && !isCarrier(carried.inner, carried.port);
    if (!isGood) {
      check(got === undefined, `came out, but is ${typeof carried === 'string' ? carried : 'nested'}`);
      continue;
    }
    if (got === undefined) {
      check((left.flags & CHECKSUM_PARTIAL) !== 0, 'a sound packet was dropped');
      continue;
    }
    check(same(got.frame, carried.inner), 'another inner frame');
    const isOurs = STATION.every((octet, i) => carried.inner[i] === octet);
    check((isOurs ? inner : other).includes(got), 'L2Forward has chosen another gate');
    const ips = [carried.source, carried.destination].flatMap((ip) => ip.split('.').map(Number));
    const id = [0, carried.vni >>> 16, (carried.vni >>> 8) & 255, carried.vni & 255];
    check(
      [...ips, ...id].every((octet, i) => got.tunnel[i] === octet),
      `metadata ${got.tunnel.join(' ')}`,
    );
    checkLeft(left, got, frame.length - carried.inner.length);
  }
}

/** What is left of an inner frame lies within it, and is what was left of the packet. @param cut bytes that are gone */
function checkLeft(left: Left, { frame, left: now }: Got, cut: number): void {
  if (now.flags === 0) return;
  check(now.flags === left.flags, `flags ${now.flags}, not ${left.flags}`);
  check(now.csumOffset === left.csumOffset && now.gsoSize === left.gsoSize, 'another sum');
  const skip = left.csumStart - now.csumStart;
  check(skip >= HEADERS && skip <= cut, `the sum was moved by ${skip}`);
  check(now.csumStart >= 14 && now.csumStart + now.csumOffset + 2 <= frame.length, 'a sum outside of the frame');
  if ((now.flags & GSO) === 0) return;
  const ip = ipOf(frame);
  check(ip !== null && (ip.version === 4) === ((now.flags & GSO_TCP4) !== 0), 'segments of no IP packet');
  check(now.gsoSize <= frame.length - now.csumStart - 20, 'segments longer than the packet');
}

function checkOuter(sent: readonly Sent[], got: readonly Got[]): void {
  for (const { frame, left, number, isSound } of sent) {
    const frames = got.filter((one) => one.number === number);
    if (frames.length === 0) {
      const isTold =
        frame.length < 14 || frame.length > 65_535 - 36 || isCarrier(frame, 4789) || (left.flags & GSO) !== 0;
      check(isTold, 'a sound frame was dropped');
      continue;
    }
    const isPartial = (left.flags & CHECKSUM_PARTIAL) !== 0;
    const isGso = (left.flags & GSO) !== 0;
    const wanted = isGso
      ? segmentsOf(frame, left.csumStart, left.gsoSize)
      : [isPartial ? completed(frame, left.csumStart, left.csumOffset) : frame];
    check(frames.length <= wanted.length, `${frames.length} segments, not ${wanted.length}`);
    for (const [i, one] of frames.entries()) {
      check(one.left.flags === (isPartial ? CHECKSUM_PARTIAL : 0), `flags ${one.left.flags}`);
      const whole = isPartial ? completed(one.frame, one.left.csumStart, one.left.csumOffset) : one.frame;
      const carried = carriedBy(whole);
      check(typeof carried !== 'string', `not sound: ${carried}`);
      if (!isGso || isSound) check(same(carried.inner, wanted[i]!), 'another inner frame');
      check(same(whole, carrying(carried.inner, { sourcePort: carried.sourcePort })), 'other headers');
      check(carried.sourcePort >= 49_152, `source port ${carried.sourcePort}`);
    }
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
