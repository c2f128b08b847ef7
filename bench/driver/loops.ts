/**
 * What a contestant of ours does all the time, on the bare driver: the same as the forward modes of testpmd, its peer.
 * Closures, as an app's poll is: V8 compiles one that exists once in the process for the very device that it captures.
 */
import type { NetDevice } from '../../drivers/net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { swapEthMacs } from '../../src/wire/ethernet.js';
import type { Direction } from './scene.js';

export interface Loop {
  /** Frames that the device took, or that came from it. */
  packets: number;
  readonly poll: () => void;
}

/**
 * What testpmd's txonly writes into each frame: the Ethernet, IPv4 and UDP headers, 42 bytes. A frame begins at 2 mod 4: one
 * half word, then words.
 */
const HEADER_WORDS = 10;

class Tx implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(device: NetDevice, burst: number, frame: Uint8Array) {
    const handles = new Uint32Array(burst);
    const lengths = new Uint32Array(burst).fill(frame.length);
    const first = new Uint16Array(frame.slice(0, 2).buffer)[0];
    const header = new Uint32Array(frame.slice(2, 2 + 4 * HEADER_WORDS).buffer);
    this.poll = () => {
      const { pool, memory } = device;
      const { u16, u32 } = memory;
      const from = header;
      const to = handles;
      if (pool.available < burst) device.reclaimTx();
      if (pool.available < burst) return;
      for (let i = 0; i < burst; i++) {
        const handle = pool.get();
        to[i] = handle;
        const start = pool.offsetOf(handle) + FRAME_OFFSET;
        u16[start >>> 1] = first;
        const start32 = (start + 2) >>> 2;
        for (let word = 0; word < HEADER_WORDS; word++) u32[start32 + word] = from[word];
      }
      const taken = device.txBurst(handles, lengths, burst);
      this.packets += taken;
      // As testpmd: what finds no room is not tried again.
      for (let i = taken; i < burst; i++) pool.put(handles[i]);
    };
  }
}

class Rx implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(device: NetDevice, burst: number) {
    this.poll = () => {
      const { pool, rxHandles } = device;
      const count = device.rxBurst(burst);
      for (let i = 0; i < count; i++) pool.put(rxHandles[i]);
      this.packets += count;
    };
  }
}

class Forward implements Loop {
  packets = 0;
  readonly poll: () => void;

  constructor(device: NetDevice, burst: number) {
    this.poll = () => {
      const { pool, rxHandles, rxLengths, memory } = device;
      const { u16 } = memory;
      if (pool.available < burst) device.reclaimTx();
      const count = device.rxBurst(burst);
      if (count === 0) return;
      for (let i = 0; i < count; i++) swapEthMacs(u16, pool.offsetOf(rxHandles[i]) + FRAME_OFFSET);
      const taken = device.txBurst(rxHandles, rxLengths, count);
      for (let i = taken; i < count; i++) pool.put(rxHandles[i]);
      this.packets += taken;
    };
  }
}

/** @param frame what to send; its headers go into each frame anew */
export function bareLoop(device: NetDevice, direction: Direction, burst: number, frame: Uint8Array): Loop {
  if (direction === 'rx') return new Rx(device, burst);
  if (direction === 'forward') return new Forward(device, burst);
  return new Tx(device, burst, frame);
}
