/**
 * The same as loops.ts, through the layer-2 API: the filter, the next hop, the Ethernet header, the counters. Closures over
 * their core, as the apps have them.
 */
import type { Core } from '../../src/index.js';
import { swapIpv4Addresses } from '../../src/wire/ipv4.js';
import type { Loop } from './loops.js';
import type { Direction } from './scene.js';

/** IPv4 and UDP header in 32-bit words: what txonly writes of a packet, the Ethernet header being the layer's. */
const HEADER_WORDS = 7;

class Tx implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(core: Core, burst: number, bytes: number, header: Uint32Array) {
    this.poll = () => {
      const words = core.memory.u32;
      const from = header;
      // As a stack does: ARP and its timers live there.
      core.getRxCount();
      let sent = 0;
      for (; sent < burst; sent++) {
        const buffer = core.getBufferTx();
        if (buffer === null) break;
        const start = buffer.offset >>> 2;
        for (let word = 0; word < HEADER_WORDS; word++) words[start + word] = from[word];
        buffer.length = bytes;
        if (!core.addBufferToRing(buffer)) {
          core.release(buffer);
          break;
        }
      }
      core.flush();
      this.packets += sent;
    };
  }
}

class Rx implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(core: Core, burst: number) {
    this.poll = () => {
      const count = Math.min(core.getRxCount(), burst);
      for (let i = 0; i < count; i++) {
        const buffer = core.getBufferRx();
        if (buffer !== null) core.release(buffer);
      }
      this.packets += count;
    };
  }
}

class Forward implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(core: Core, burst: number) {
    this.poll = () => {
      const { u8 } = core.memory;
      const count = Math.min(core.getRxCount(), burst);
      let sent = 0;
      for (let i = 0; i < count; i++) {
        const buffer = core.getBufferRx();
        if (buffer === null) break;
        // Back to its sender; the layer writes the MAC addresses that macswap swaps.
        swapIpv4Addresses(u8, buffer.offset);
        if (core.addBufferToRing(buffer)) sent++;
        else core.release(buffer);
      }
      core.flush();
      this.packets += sent;
    };
  }
}

/** @param packet the IP packet to send; its headers go into each packet anew */
export function apiLoop(core: Core, direction: Direction, burst: number, packet: Uint8Array): Loop {
  if (direction === 'rx') return new Rx(core, burst);
  if (direction === 'forward') return new Forward(core, burst);
  return new Tx(core, burst, packet.length, new Uint32Array(packet.slice(0, 4 * HEADER_WORDS).buffer));
}
