/**
 * What the pinger and the UDP probe share: they send numbered requests to a host that echoes them, and check every byte
 * of the answers. The size and the content of a payload follow from the request's number, so nothing is kept of what
 * was sent.
 */
import { AppError } from '../errors.js';
import type { Core } from '../link/core.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import type { PacketHandler } from '../stack.js';
import { parseIpv4 } from '../wire/address.js';
import { IPV4_HEADER_BYTES, ipv4HeaderLength, ipv4Protocol, ipv4Source, writeIpv4Header } from '../wire/ipv4.js';
import { NOT_WAITING, Outstanding } from './outstanding.js';
import { isPattern, seedOf, writePattern } from './pattern.js';

export interface EchoClientOptions {
  /** IPv4 address of the host. */
  readonly to: string;
  /** Number of requests. Default: no end. */
  readonly count?: number | undefined;
  /** How long an answer may take, in ms. Default 1000. */
  readonly timeoutMs?: number | undefined;
  /** Monotonic time in ms. Default: performance.now. */
  readonly clock?: () => number;
}

/** How requests and answers look on the wire. */
export interface EchoFormat {
  /** Prefix of the counters' names. */
  readonly name: string;
  /** IP protocol number. */
  readonly protocol: number;
  /** Bytes of the header behind the IP header. */
  readonly headerBytes: number;
  /** Bytes of the request's number at the start of the payload; 0 when the header has the number. */
  readonly numberBytes: number;
}

/** {@link EchoClient.identify} returns this for a damaged answer. It is not a number of 32 bits. */
export const CORRUPT = -(2 ** 32);

export abstract class EchoClient implements PacketHandler {
  protected readonly to: number;
  protected readonly count: number;
  protected readonly clock: () => number;
  protected readonly outstanding: Outstanding;
  protected readonly minBytes: number;
  /** How many payload sizes there are. */
  protected readonly sizes: number;
  protected received = 0;
  private lost = 0;
  private corrupt = 0;
  private unexpected = 0;

  /**
   * @param sizes smallest and largest payload in bytes; by default, every size that fits
   * @param places how many requests can wait for their answer at the same time; see {@link Outstanding}
   * @throws AppError when a payload of one of the sizes does not fit into a packet
   */
  constructor(
    protected readonly core: Core,
    private readonly format: EchoFormat,
    options: EchoClientOptions,
    sizes: readonly [min: number | undefined, max: number | undefined],
    places?: number,
  ) {
    const most = core.mtu - IPV4_HEADER_BYTES - format.headerBytes;
    const [min = format.numberBytes, max = most] = sizes;
    if (!(Number.isInteger(min) && Number.isInteger(max) && format.numberBytes <= min && min <= max && max <= most)) {
      const found = max === min ? min : `${min} to ${max}`;
      const possible = `with an MTU of ${core.mtu}, ${format.numberBytes} to ${most} are possible`;
      throw new AppError(`${format.name}: ${found} bytes of payload; ${possible}`);
    }
    this.minBytes = min;
    this.sizes = max - min + 1;
    this.to = parseIpv4(options.to) | 0;
    this.count = options.count ?? Number.POSITIVE_INFINITY;
    this.clock = options.clock ?? (() => performance.now());
    this.outstanding = new Outstanding(options.timeoutMs ?? 1000, places);
  }

  /** Whether all requests were sent, and each was answered or has timed out. */
  get isDone(): boolean {
    return this.outstanding.next >= this.count && this.outstanding.count === 0;
  }

  poll(): number {
    const now = this.clock();
    const { outstanding } = this;
    let work = 0;
    for (let number = outstanding.expire(now); number !== NOT_WAITING; number = outstanding.expire(now)) {
      this.lost++;
      work++;
      this.onTimeout?.(number);
    }
    return work + this.sendDue(now);
  }

  handle(buffer: PacketBuffer): boolean {
    const { core, format } = this;
    const u8 = core.memory.u8;
    const ip = buffer.offset;
    if (ipv4Protocol(u8, ip) !== format.protocol || ipv4Source(u8, ip) !== this.to) return false;
    const headerLength = ipv4HeaderLength(u8, ip);
    const at = ip + headerLength;
    const length = buffer.length - headerLength;
    if (length < format.headerBytes || !this.isForUs(at)) return false;
    const number = this.identify(buffer, at, length);
    const milliseconds = this.outstanding.answered(number, this.clock());
    if (number === CORRUPT) this.corrupt++;
    else if (milliseconds === NOT_WAITING) this.unexpected++;
    else {
      this.received++;
      this.onAnswer(number, milliseconds, ip, length);
    }
    core.release(buffer);
    return true;
  }

  report(): Record<string, number> {
    const { name } = this.format;
    return {
      [`${name}_sent`]: this.outstanding.next,
      [`${name}_received`]: this.received,
      [`${name}_lost`]: this.lost,
      [`${name}_corrupt`]: this.corrupt,
      [`${name}_unexpected`]: this.unexpected,
    };
  }

  /** Puts request `number` into the transmit ring. Returns false when no buffer is free or the ring is full. */
  protected send(number: number): boolean {
    const { core, format } = this;
    const buffer = core.getBufferTx();
    if (buffer === null) return false;
    const at = buffer.offset + IPV4_HEADER_BYTES;
    const length = format.headerBytes + this.sizeOf(number);
    writePattern(core.memory.u8, at + format.headerBytes + format.numberBytes, at + length, seedOf(number));
    buffer.length = IPV4_HEADER_BYTES + length;
    writeIpv4Header(core.memory, buffer.offset, buffer.length, format.protocol, core.address, this.to);
    this.writeHeader(buffer.offset, at, length, number);
    if (core.addBufferToRing(buffer)) return true;
    core.release(buffer);
    return false;
  }

  /** Whether `length` bytes of header and payload at `at` have the size and the content of request `number`. */
  protected isPayloadIntact(at: number, length: number, number: number): boolean {
    const { headerBytes, numberBytes } = this.format;
    if (length !== headerBytes + this.sizeOf(number)) return false;
    return isPattern(this.core.memory.u8, at + headerBytes + numberBytes, at + length, seedOf(number));
  }

  abstract maxSleepMs(): number;
  /** Sends the requests that are due. Returns how many it sent. */
  protected abstract sendDue(now: number): number;
  /** Length of the payload of request `number`, in bytes. */
  protected abstract sizeOf(number: number): number;
  /** Writes everything between the IP header and the pattern. */
  protected abstract writeHeader(ip: number, at: number, length: number, number: number): void;
  /** Whether the header at `at` is that of an answer to this client. */
  protected abstract isForUs(at: number): boolean;
  /**
   * Returns the number of the request that an answer, whose header is at `at`, belongs to; {@link CORRUPT} for a damaged
   * answer.
   */
  protected abstract identify(packet: PacketBuffer, at: number, length: number): number;
  /** Called for each intact answer. */
  protected abstract onAnswer(number: number, milliseconds: number, ip: number, length: number): void;
  /** Called for each request that was not answered in time. */
  protected onTimeout?(number: number): void;
}
