/**
 * Sends numbered requests from the backend's end of a link, and takes the answers. The other end is a driver over
 * vhost-user, or the Linux kernel behind a tap device.
 */
import { monotonicMs } from '../../drivers/libc/index.js';
import { MemoryWindow } from '../../drivers/memory/index.js';
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';

/** Distance between two frames of the burst in bytes. */
const SLOT_BYTES = 2048;
/** Offset of the number in the frame, behind the headers of Ethernet, IPv4 and UDP. */
const NUMBER_AT = 42;
const MARK_AT = 46;
/** Tells our frames from other frames that a kernel sends. */
const MARK = 0xb5;
/** Offset of UDP's checksum. It is 0, which means that there is none (RFC 768). */
const CHECKSUM_AT = 40;
/** For how many requests the time of sending is kept. A power of two, and more than the rings of both ends hold. */
const REMEMBERED = 8192;

/** Takes the times of round trips, in ms. */
export interface TimesRecorder {
  record(ms: number): void;
}

export class RoundTrips {
  sent = 0;
  answered = 0;
  /** The time, in an array, because V8 allocates a number for a field, or for a variable that a loop changes. */
  private readonly clock = new Float64Array(1);
  private readonly out: PacketBurst;
  private readonly back: PacketBurst;
  private readonly memory = MemoryWindow.reserve(MAX_BURST * SLOT_BYTES);
  private readonly all = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
  /** When each request was sent, in ms, by its number. */
  private readonly sentAt = new Float64Array(REMEMBERED);
  private next = 0;

  /**
   * @param frame the request: UDP over IPv4, 64 bytes or more
   * @param times told how long each round trip took; null: times are not measured
   */
  constructor(
    private readonly endpoint: PacketEndpoint,
    frame: Uint8Array,
    private readonly times: TimesRecorder | null,
  ) {
    this.out = new PacketBurst(this.memory);
    this.back = new PacketBurst(this.memory);
    const { u8 } = this.memory;
    for (let i = 0; i < MAX_BURST; i++) {
      const at = i * SLOT_BYTES;
      u8.set(frame, at);
      u8.fill(0, at + CHECKSUM_AT, at + CHECKSUM_AT + 2);
      u8[at + MARK_AT] = MARK;
      this.out.push(at, frame.length);
    }
  }

  /**
   * When {@link receive} looked for answers, in ms of `monotonicMs`; 0 when times are not measured. The times of requests
   * begin then.
   */
  get now(): number {
    return this.clock[0];
  }

  /** How many requests were not answered, or not yet. */
  get outstanding(): number {
    return this.sent - this.answered;
  }

  /** Starts again: requests that are not answered by now count as lost. */
  forget(): void {
    this.sent = 0;
    this.answered = 0;
  }

  /** Sends up to `count` requests, at most a burst, and no more than the peer's ring has room for. */
  send(count: number): void {
    const { u8 } = this.memory;
    const now = this.clock[0];
    const n = Math.min(count, MAX_BURST);
    for (let i = 0; i < n; i++) {
      const number = (this.next + i) >>> 0;
      const at = i * SLOT_BYTES + NUMBER_AT;
      u8[at] = number;
      u8[at + 1] = number >>> 8;
      u8[at + 2] = number >>> 16;
      u8[at + 3] = number >>> 24;
      this.sentAt[number & (REMEMBERED - 1)] = now;
    }
    this.next = (this.next + n) >>> 0;
    this.sent += this.endpoint.put(this.out, this.all, n);
  }

  /** Takes the frames that are there, at most a burst. Returns how many; some may not be answers to our requests. */
  receive(): number {
    const { back, endpoint, times } = this;
    const count = endpoint.take(back, MAX_BURST);
    const now = times === null ? 0 : monotonicMs();
    this.clock[0] = now;
    if (count === 0) return 0;
    const { u8 } = back.memory;
    for (let i = 0; i < count; i++) {
      const at = back.segmentOffset[back.firstSegment[i]];
      if (back.length[i] <= MARK_AT || u8[at + MARK_AT] !== MARK) continue;
      const place = u8[at + NUMBER_AT] | (u8[at + NUMBER_AT + 1] << 8);
      this.answered++;
      times?.record(now - this.sentAt[place & (REMEMBERED - 1)]);
    }
    endpoint.complete();
    return count;
  }
}
