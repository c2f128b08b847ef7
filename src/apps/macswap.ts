/** macswap: sends every frame back to its source, as the forward mode of that name in dpdk-testpmd does. */
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { swapEthMacs } from '../wire/ethernet.js';
import { checkOptions } from './options.js';

export const layer = 'ethernet';

class MacSwap implements Stack {
  private frames = 0;
  private ringFull = 0;

  constructor(private readonly core: Core) {}

  /** A closure: docs/v8.md, "Bursts as closures". */
  readonly poll = (): number => {
    const core = this.core;
    const u16 = core.memory.u16;
    const count = core.getRxCount();
    let sent = 0;
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer === null) break;
      swapEthMacs(u16, buffer.offset);
      if (core.addBufferToRing(buffer)) {
        sent++;
      } else {
        this.ringFull++;
        core.release(buffer);
      }
    }
    this.frames += sent;
    return count;
  };

  report(): Record<string, number> {
    return { macswap_frames: this.frames, macswap_ring_full: this.ringFull };
  }
}

export default function createMacSwap(core: Core, options: StackOptions = {}): Stack {
  checkOptions('macswap', options);
  return new MacSwap(core);
}
