/** A fake device for a port: packets are put in and collected as byte arrays. */

import type { Module } from '../../../bess/modules/module.js';
import { Port, type PortDevice } from '../../../bess/ports/port.js';
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { PacketEndpoint } from '../../../drivers/packet-endpoint.js';
import { MAX_BURST, type PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';

/** A memory for the packets that a fake device offers. */
export function views(bytes: number) {
  const buffer = new SharedArrayBuffer(bytes);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

/** A frame: the destination address, then a tag that makes the frame distinct. */
export function frame(destination: string, tag: number, bytes = 60): Uint8Array {
  const result = new Uint8Array(bytes);
  result.set(destination.split(':').map((octet) => Number.parseInt(octet, 16)));
  result[14] = tag & 0xff;
  result[15] = tag >> 8;
  return result;
}

/** What the sender of a packet leaves to others, as in a PacketBurst. */
export interface FakeOffloads {
  readonly flags: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

export class FakeEndpoint implements PacketEndpoint {
  readonly name = 'mock';
  /** Frames that wait to be taken, each as its segments. */
  readonly waiting: Uint8Array[][] = [];
  /** Frames that the peer has got. */
  readonly received: Uint8Array[] = [];
  /** What is left to the peer of each of them; null for a plain frame. */
  readonly receivedOffloads: (FakeOffloads | null)[] = [];
  /** How many more packets the peer takes. */
  room = Number.POSITIVE_INFINITY;
  /** Longer packets are not given to the peer, wherever they are in a burst. */
  longest = Number.POSITIVE_INFINITY;
  /** Offset of the first segment of a burst; an odd one tests odd addresses. */
  base = 0;
  kicksEnabled = false;
  pollOnly = false;
  onKick: (() => void) | null = null;
  /** Frames that were sent while no peer was there. */
  withoutPeer = 0;
  /** Frames that were sent while the interface was down. */
  interfaceDown = 0;
  /** Frames for which the peer had no room, and that were too long for it. */
  withoutRoom = 0;
  tooLong = 0;
  /** Frames that the device has refused. */
  malformed = 0;
  taken = 0;
  completed = 0;
  refused = 0;
  /** Where the frames that it offers lie: `size` bytes from `start` on. */
  private memory: MemoryViews = views(1 << 20);
  private start = 0;
  private size = 1 << 20;
  private readonly offloads = new WeakMap<Uint8Array[], FakeOffloads>();

  constructor(private readonly device: { isUp: boolean }) {}

  /** Puts the frames that it offers into a part of a memory that it shares with others. */
  useMemory(memory: MemoryViews, start: number, size: number): void {
    Object.assign(this, { memory, start, size });
  }

  offer(...frames: Uint8Array[]): void {
    for (const one of frames) this.waiting.push([one]);
  }

  /** Offers a packet whose sender leaves something to others, in these segments. */
  offerUnfinished(offloads: FakeOffloads, ...segments: Uint8Array[]): void {
    this.offloads.set(segments, offloads);
    this.waiting.push(segments);
  }

  take(burst: PacketBurst, max: number): number {
    burst.clear();
    burst.memory = this.memory;
    let at = this.start + this.base;
    while (burst.count < Math.min(max, MAX_BURST) && this.waiting.length > 0) {
      const packet = burst.count;
      burst.firstSegment[packet] = burst.segments;
      burst.length[packet] = 0;
      const segments = this.waiting.shift() ?? [];
      const offloads = this.offloads.get(segments);
      burst.flags[packet] = offloads?.flags ?? 0;
      if (offloads !== undefined) {
        burst.offloaded++;
        burst.gsoSize[packet] = offloads.gsoSize;
        burst.csumStart[packet] = offloads.csumStart;
        burst.csumOffset[packet] = offloads.csumOffset;
      }
      for (const segment of segments) {
        this.memory.u8.set(segment, at);
        burst.segmentOffset[burst.segments] = at;
        burst.segmentLength[burst.segments] = segment.length;
        burst.length[packet] = (burst.length[packet] ?? 0) + segment.length;
        burst.segments++;
        // Segments are not next to each other.
        at += segment.length + 2;
      }
      burst.count++;
      burst.firstSegment[burst.count] = burst.segments;
    }
    this.taken += burst.count;
    return burst.count;
  }

  complete(): void {
    // A module that still read the packets would see these bytes.
    this.memory.u8.fill(0xee, this.start, this.start + this.size);
    this.completed = this.taken;
  }

  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    let taken = 0;
    this.refused = 0;
    for (let i = 0; i < count; i++) {
      const packet = indices[i] ?? -1;
      const bytes: number[] = [];
      for (let s = burst.firstSegment[packet] ?? 0; s < (burst.firstSegment[packet + 1] ?? 0); s++) {
        const from = burst.segmentOffset[s] ?? 0;
        bytes.push(...burst.memory.u8.subarray(from, from + (burst.segmentLength[s] ?? 0)));
      }
      if (!this.hasTaken(bytes.length)) {
        this.refused |= 1 << i;
        continue;
      }
      taken++;
      this.received.push(Uint8Array.from(bytes));
      this.receivedOffloads.push(offloadsOf(burst, packet));
    }
    return taken;
  }

  /** Whether the peer gets a packet of this length. Counts why not. */
  private hasTaken(length: number): boolean {
    if (!this.device.isUp) this.withoutPeer++;
    else if (length > this.longest) this.tooLong++;
    else if (this.room <= 0) this.withoutRoom++;
    else {
      this.room--;
      return true;
    }
    return false;
  }

  enableKick(): boolean {
    if (this.waiting.length > 0) return false;
    this.kicksEnabled = true;
    return true;
  }

  disableKick(): void {
    this.kicksEnabled = false;
  }

  counters(): Record<string, number> {
    const bytes = this.received.reduce((sum, one) => sum + one.length, 0);
    return {
      out_bytes: bytes,
      out_noDriver: this.withoutPeer,
      out_noBuffer: this.withoutRoom,
      out_tooLong: this.tooLong,
      out_interfaceDown: this.interfaceDown,
      in_badHead: this.malformed,
    };
  }

  /** The tags of the frames that the peer has got, in order. */
  get tags(): number[] {
    return this.received.map((bytes) => (bytes[14] ?? 0) + (bytes[15] ?? 0) * 256);
  }
}

function offloadsOf({ offloaded, flags, gsoSize, csumStart, csumOffset }: PacketBurst, i: number): FakeOffloads | null {
  if (offloaded === 0 || flags[i] === 0) return null;
  return { flags: flags[i]!, gsoSize: gsoSize[i]!, csumStart: csumStart[i]!, csumOffset: csumOffset[i]! };
}

export class FakePortDevice implements PortDevice {
  readonly endpoints: FakeEndpoint[];
  isUp = true;
  problem: string | null = null;
  closed = false;
  onChange: (() => void) | null = null;
  onNotice: ((line: string, kind: string) => void) | null = null;

  constructor(queues = 1) {
    this.endpoints = Array.from({ length: queues }, () => new FakeEndpoint(this));
  }

  /** The first queue pair, which is the only one in most tests. */
  get queue(): FakeEndpoint {
    return this.endpoints[0] as FakeEndpoint;
  }

  close(): void {
    this.closed = true;
  }
}

/** A port on a fake device. */
export function fakePort(name: string, queues = 1): { port: Port; device: FakePortDevice; queue: FakeEndpoint } {
  const device = new FakePortDevice(queues);
  return { port: new Port(name, 'PMDPort', `mock ${name}`, device, queues, queues), device, queue: device.queue };
}

/** Polls every task of a module once. */
export function poll(module: Module): number {
  return module.tasks.reduce((sum, task) => sum + task.run(), 0);
}

/** Passes on what a call throws, so that a test can check its code and text. */
export function errorOf(call: () => unknown): { code?: string; message: string } {
  try {
    call();
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error('nothing was thrown');
}
