/** The same as loops.ts, through the layer-2 API: the filter, the next hop, the Ethernet header, the counters. */
import type { Core } from '../../src/index.js';
import { swapAddresses } from '../../src/wire/ipv4.js';
import type { Loop } from './loops.js';
import type { Direction } from './scene.js';

/** IPv4 and UDP header in 32-bit words: what txonly writes of a packet, the Ethernet header being the layer's. */
const HEADER_WORDS = 7;

class Tx implements Loop {
  packets = 0;
  private readonly words: Uint32Array;

  constructor(
    private readonly core: Core,
    private readonly burst: number,
    private readonly bytes: number,
    private readonly header: Uint32Array,
  ) {
    this.words = core.memory.u32;
  }

  poll(): void {
    const { core, burst, bytes, header, words } = this;
    // As a stack does: ARP and its timers live there.
    core.getRxCount();
    for (let i = 0; i < burst; i++) {
      const buffer = core.getBufferTx();
      if (buffer === null) break;
      const start = buffer.offset >>> 2;
      for (let word = 0; word < HEADER_WORDS; word++) words[start + word] = header[word]!;
      buffer.length = bytes;
      if (!core.addBufferToRing(buffer)) {
        core.release(buffer);
        break;
      }
      this.packets++;
    }
    core.flush();
  }
}

class Rx implements Loop {
  packets = 0;

  constructor(
    private readonly core: Core,
    private readonly burst: number,
  ) {}

  poll(): void {
    const { core } = this;
    const count = Math.min(core.getRxCount(), this.burst);
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer !== null) core.release(buffer);
    }
    this.packets += count;
  }
}

class Forward implements Loop {
  packets = 0;

  constructor(
    private readonly core: Core,
    private readonly burst: number,
  ) {}

  poll(): void {
    const { core } = this;
    const { u8 } = core.memory;
    const count = Math.min(core.getRxCount(), this.burst);
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer === null) break;
      // Back to its sender; the layer writes the MAC addresses that macswap swaps.
      swapAddresses(u8, buffer.offset);
      if (core.addBufferToRing(buffer)) this.packets++;
      else core.release(buffer);
    }
    core.flush();
  }
}

/** @param packet the IP packet to send; its headers go into each packet anew */
export function apiLoop(core: Core, direction: Direction, burst: number, packet: Uint8Array): Loop {
  if (direction === 'rx') return new Rx(core, burst);
  if (direction === 'forward') return new Forward(core, burst);
  return new Tx(core, burst, packet.length, new Uint32Array(packet.slice(0, 4 * HEADER_WORDS).buffer));
}
