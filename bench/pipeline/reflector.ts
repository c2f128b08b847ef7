/** The stack of these benchmarks: it sends every packet back to its source. */
import type { Core } from '../../src/link/core.js';
import type { Stack } from '../../src/stack.js';
import { swapIpv4Addresses } from '../../src/wire/ipv4.js';

/** A class with a method, because many cores share one thread here (docs/v8.md, "Bursts as closures"). */
export class Reflector implements Stack {
  constructor(private readonly core: Core) {}

  poll(): number {
    const { core } = this;
    const { u8 } = core.memory;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer === null) break;
      swapIpv4Addresses(u8, buffer.offset);
      if (!core.addBufferToRing(buffer)) core.release(buffer);
    }
    return count;
  }
}
