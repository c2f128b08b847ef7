/**
 * The loops of bare-loops.ts through the layer-2 API: with filter, next hop, Ethernet header and counters. They are
 * closures (docs/v8.md, "Bursts as closures"), as an app's poll is.
 */
import type { Core } from '../../src/index.js';
import { swapIpv4Addresses } from '../../src/wire/ipv4.js';
import type { Loop } from './bare-loops.js';
import type { Direction } from './rows.js';

/** Length of the IPv4 and the UDP header in 32-bit words. txonly writes them; the layer writes the Ethernet header. */
const HEADER_WORDS = 7;

class Tx implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(core: Core, burst: number, bytes: number, header: Uint32Array) {
    this.poll = () => {
      const words = core.memory.u32;
      const from = header;
      // A stack calls this, too: it runs ARP and its timers.
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
        // Sends the packet back. The layer writes the MAC addresses, which macswap would swap.
        swapIpv4Addresses(u8, buffer.offset);
        if (core.addBufferToRing(buffer)) sent++;
        else core.release(buffer);
      }
      core.flush();
      this.packets += sent;
    };
  }
}

/**
 * Makes the loop of a direction.
 * @param packet the IP packet to send; its headers are written into each buffer
 */
export function apiLoop(core: Core, direction: Direction, burst: number, packet: Uint8Array): Loop {
  if (direction === 'rx') return new Rx(core, burst);
  if (direction === 'forward') return new Forward(core, burst);
  return new Tx(core, burst, packet.length, new Uint32Array(packet.slice(0, 4 * HEADER_WORDS).buffer));
}
