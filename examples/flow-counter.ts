/**
 * Counts packets and bytes per flow, and prints the largest flows of each core every second.
 *
 *     npx tspmd run --device 0000:00:04.0 --ip 10.0.0.1/24 --mode 2kb --cores 0-3 --app dist/examples/flow-counter.js
 *
 * With several cores, each core gets both directions of its own flows, so the table needs no lock. The key of the table
 * is `packet.rssHash`, which has already been computed to choose the core.
 */
import type { Core, Stack, StackOptions } from 'tspmd';

export const layer = 'ethernet';

const PLACES = 65536;
const SHOW_MS = 1000;

class FlowCounter implements Stack {
  private readonly core: Core;
  private readonly top: number;
  // Typed arrays that are made once: nothing is allocated per packet.
  private readonly hashes = new Int32Array(PLACES);
  private readonly packets = new Float64Array(PLACES);
  private readonly bytes = new Float64Array(PLACES);
  private readonly timer: NodeJS.Timeout;
  private flows = 0;
  private uncounted = 0;

  constructor(core: Core, top: number) {
    this.core = core;
    this.top = top;
    // Timers run while the core polls: the event loop gets a turn every few milliseconds.
    this.timer = setInterval(() => this.show(), SHOW_MS);
  }

  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const packet = core.getBufferRx();
      if (packet === null) break;
      this.count(packet.rssHash, packet.length);
      core.release(packet);
    }
    return count;
  }

  report(): Record<string, number> {
    return { flows: this.flows, uncounted: this.uncounted };
  }

  stop(): void {
    clearInterval(this.timer);
    this.show();
  }

  /** A hash table with open addressing. When it is full, packets of new flows count as `uncounted`. */
  private count(hash: number, length: number): void {
    let place = (hash ^ (hash >>> 16)) & (PLACES - 1);
    for (let tries = 0; tries < 32; tries++) {
      if (this.packets[place] === 0) {
        this.hashes[place] = hash;
        this.flows++;
      }
      if (this.hashes[place] === hash) {
        this.packets[place]!++;
        this.bytes[place]! += length;
        return;
      }
      place = (place + 1) & (PLACES - 1);
    }
    this.uncounted++;
  }

  private show(): void {
    const places = [...this.packets.keys()].filter((place) => this.packets[place]! > 0);
    places.sort((a, b) => this.bytes[b]! - this.bytes[a]!);
    for (const place of places.slice(0, this.top)) {
      const name = (this.hashes[place]! >>> 0).toString(16).padStart(8, '0');
      console.log(`core ${this.core.index} flow ${name}: ${this.packets[place]} packets, ${this.bytes[place]} bytes`);
    }
  }
}

export default function createFlowCounter(core: Core, { top = 5 }: StackOptions): Stack {
  return new FlowCounter(core, Number(top));
}
