/** rxonly: counts every received frame and releases it, as the forward mode of that name in dpdk-testpmd does. */
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { checkOptions } from './options.js';

export const layer = 'ethernet';

class RxOnly implements Stack {
  private frames = 0;
  private bytes = 0;

  constructor(private readonly core: Core) {}

  /** A closure: docs/v8.md, "Bursts as closures". */
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
