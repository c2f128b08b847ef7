/** The stack of these benchmarks: sends every packet back to where it came from, and does nothing else. */
import type { Core } from '../../src/link/core.js';
import type { Stack } from '../../src/stack.js';
import { swapIpv4Addresses } from '../../src/wire/ipv4.js';

/** A class, not a closure: V8 compiles a closure of which there is one for that one, which many would not share. */
export class Bounce implements Stack {
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
