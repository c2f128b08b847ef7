/** rxonly: receives every frame, counts it and lets go of it, as dpdk-testpmd's forward mode of that name does. */
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { checkOptions } from './options.js';

export const layer = 'ethernet';

class RxOnly implements Stack {
  private frames = 0;
  private bytes = 0;

  constructor(private readonly core: Core) {}

  /** A closure, not a method: V8 knows its core when it compiles it. */
  readonly poll = (): number => {
    const core = this.core;
    const count = core.getRxCount();
    let taken = 0;
    let bytes = 0;
    for (; taken < count; taken++) {
      const buffer = core.getBufferRx();
      if (buffer === null) break;
      bytes += buffer.length;
      core.release(buffer);
    }
    this.frames += taken;
    this.bytes += bytes;
    return count;
  };

  report(): Record<string, number> {
    return { rxonly_frames: this.frames, rxonly_bytes: this.bytes };
  }
}

export default function createRxOnly(core: Core, options: StackOptions = {}): Stack {
  checkOptions('rxonly', options);
  return new RxOnly(core);
}
