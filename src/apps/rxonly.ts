/** rxonly: receives every frame, counts it and lets go of it, as dpdk-testpmd's forward mode of that name does. */
import type { Core } from '../core.js';
import type { Stack, StackOptions } from '../stack.js';
import { checkOptions } from './options.js';

export const layer = 'ethernet';

class RxOnly implements Stack {
  private frames = 0;
  private bytes = 0;

  constructor(private readonly core: Core) {}

  poll(): number {
    const core = this.core;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx();
      if (buffer === null) break;
      this.frames++;
      this.bytes += buffer.length;
      core.release(buffer);
    }
    return count;
  }

  report(): Record<string, number> {
    return { rxonly_frames: this.frames, rxonly_bytes: this.bytes };
  }
}

export default function createRxOnly(core: Core, options: StackOptions = {}): Stack {
  checkOptions('rxonly', options);
  return new RxOnly(core);
}
