/** A switch: several links meet, and each frame goes to the link behind which its destination is. */

import { readI32, readU16 } from '../../../../src/wire/bytes.js';
import { ETH_DESTINATION, ETH_SOURCE } from '../../../../src/wire/ethernet.js';
import type { FramePool } from './frame-pool.js';
import type { Endpoint, Path } from './path.js';

export class Hub {
  /** The paths away from the hub. */
  private readonly paths: Path[] = [];
  /** Number of the path to each MAC address that was seen. */
  private readonly learned = new Map<number, number>();

  constructor(private readonly frames: FramePool) {}

  /** Makes a place for a link. {@link Place.path} must be set before frames come. */
  plug(): Place {
    const number = this.paths.length;
    this.paths.length++;
    return {
      arrive: (slot) => this.forward(slot, number),
      setPath: (path) => {
        this.paths[number] = path;
      },
    };
  }

  private forward(slot: number, from: number): void {
    const frame = this.frames.views[slot]!;
    this.learned.set(macNumber(frame, ETH_SOURCE), from);
    const isGroup = (frame[ETH_DESTINATION]! & 1) !== 0;
    const to = isGroup ? undefined : this.learned.get(macNumber(frame, ETH_DESTINATION));
    if (to !== undefined && to !== from) {
      this.paths[to]!.send(slot);
      return;
    }
    if (to === undefined) {
      for (let i = 0; i < this.paths.length; i++) if (i !== from) this.paths[i]!.send(this.frames.copy(slot));
    }
    this.frames.release(slot);
  }
}

/** One place of a {@link Hub}. */
export interface Place extends Endpoint {
  setPath(path: Path): void;
}

/** The 48 bits of a MAC address as a number. */
function macNumber(frame: Uint8Array, at: number): number {
  return (readI32(frame, at) >>> 0) * 0x10000 + readU16(frame, at + 4);
}
