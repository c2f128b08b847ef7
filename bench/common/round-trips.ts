/**
 * Sends numbered requests from the backend's end of a link, and takes the answers. The other end is a driver over
 * vhost-user, or the Linux kernel behind a tap device.
 */
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
/** For how many requests the time of sending is kept. A power of two, and more than any ring holds. */
const REMEMBERED = 65536;

export class RoundTrips {
  sent = 0;
  answered = 0;
  /**
   * Round-trip times in microseconds. The first {@link recorded} are valid; when the array is full, later ones are
   * dropped.
   */
  readonly samples: Float64Array;
  recorded = 0;
  private readonly out: PacketBurst;
  private readonly back: PacketBurst;
  private readonly memory = MemoryWindow.reserve(MAX_BURST * SLOT_BYTES);
  private readonly all = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
  /** When each request was sent, in ms, by its number. */
  private readonly sentAt = new Float64Array(REMEMBERED);
  private next = 0;
  /** Whether times are measured. Reading the clock allocates a number. */
  private readonly isTimed: boolean;

  /**
   * @param frame the request: UDP over IPv4, 64 bytes or more
   * @param samples how many round-trip times to keep; 0: no times are measured
   */
  constructor(
    private readonly endpoint: PacketEndpoint,
    frame: Uint8Array,
    samples: number,
  ) {
    this.samples = new Float64Array(samples);
    this.isTimed = samples > 0;
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

  /** How many requests were not answered, or not yet. */
  get outstanding(): number {
    return this.sent - this.answered;
  }

  /** Starts again: requests that are not answered by now count as lost. */
  forget(): void {
    this.sent = 0;
    this.answered = 0;
    this.recorded = 0;
  }

  /** Sends up to `count` requests, at most a burst, and no more than the peer's ring has room for. */
  send(count: number): void {
    const { u8 } = this.memory;
    const n = Math.min(count, MAX_BURST);
    const now = this.isTimed ? performance.now() : 0;
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
    const { back, endpoint } = this;
    const count = endpoint.take(back, MAX_BURST);
    if (count === 0) return 0;
    const now = this.isTimed ? performance.now() : 0;
    const { u8 } = back.memory;
    for (let i = 0; i < count; i++) {
      const at = back.segmentOffset[back.firstSegment[i]];
      if (back.length[i] <= MARK_AT || u8[at + MARK_AT] !== MARK) continue;
      const place = u8[at + NUMBER_AT] | (u8[at + NUMBER_AT + 1] << 8);
      this.answered++;
      if (this.recorded < this.samples.length) this.samples[this.recorded++] = (now - this.sentAt[place]) * 1000;
    }
    endpoint.complete();
    return count;
  }
}
