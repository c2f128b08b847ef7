/**
 * Shares the packets of one core among several handlers, such as echo, pinger and UDP probe. It makes the checks that
 * every receiver must make first (RFC 1122, 3.2.1.2), so that handlers get only intact, whole packets.
 */
import type { Core } from '../link/core.js';
import { Checksum, type PacketBuffer } from '../link/packet-buffer.js';
import type { PacketHandler, Stack } from '../stack.js';
import type { WireMemory } from '../wire/index.js';
import { ipv4HeaderLength, isIpv4Fragment, isIpv4HeaderIntact } from '../wire/ipv4.js';
import { isUdpIntact, isUdpWhole } from '../wire/udp.js';

class Demux implements Stack {
  private badHeader = 0;
  private fragments = 0;
  private unclaimed = 0;

  constructor(
    private readonly core: Core,
    private readonly handlers: readonly PacketHandler[],
  ) {}

  poll(): number {
    const { core, handlers } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer !== null) this.dispatch(buffer);
    }
    let work = count;
    for (let i = 0; i < handlers.length; i++) work += handlers[i].poll?.() ?? 0;
    return work;
  }

  maxSleepMs(): number {
    let sleep = Number.POSITIVE_INFINITY;
    for (const handler of this.handlers) sleep = Math.min(sleep, handler.maxSleepMs?.() ?? sleep);
    return sleep;
  }

  report(): Record<string, number> {
    const own = { ip_bad_header: this.badHeader, ip_fragments: this.fragments, ip_unclaimed: this.unclaimed };
    return Object.assign(own, ...this.handlers.map((handler) => handler.report()));
  }

  private dispatch(buffer: PacketBuffer): void {
    const { core, handlers } = this;
    const u8 = core.memory.u8;
    const ip = buffer.offset;
    if (!isIpv4HeaderIntact(core.memory, ip, ipv4HeaderLength(u8, ip))) this.badHeader++;
    else if (isIpv4Fragment(u8, ip)) this.fragments++;
    else {
      for (let i = 0; i < handlers.length; i++) if (handlers[i].handle(buffer)) return;
      this.unclaimed++;
    }
    core.release(buffer);
  }
}

/**
 * Makes a stack that offers each packet to the handlers in turn. A packet that no handler takes is counted and
 * released.
 * @param handlers the first one that takes a packet gets it
 */
export function createDemux(core: Core, handlers: readonly PacketHandler[]): Stack {
  return new Demux(core, handlers);
}

/**
 * Whether `room` bytes at `udp` in a received packet hold a datagram: its length fits, and its checksum is right or
 * absent. A device with offloads may know that the bytes are right; the sum of a packet from this host may not be there
 * yet then.
 */
export function isDatagramIntact(
  memory: WireMemory,
  { checksum, offset }: PacketBuffer,
  udp: number,
  room: number,
): boolean {
  if (checksum === Checksum.UNKNOWN) return isUdpIntact(memory, offset, udp, room);
  return isUdpWhole(memory.u8, udp, room);
}
