/**
 * The loops of our contestant on the bare driver. They do what the forward modes of testpmd do. They are closures
 * (docs/v8.md, "Bursts as closures"), as an app's poll is.
 */
import type { NetDevice } from '../../drivers/net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { swapEthMacs } from '../../src/wire/ethernet.js';
import type { Direction } from './rows.js';

export interface Loop {
  /** How many frames the device has taken, or delivered. */
  packets: number;
  readonly poll: () => void;
}

/**
 * The Ethernet, IPv4 and UDP headers, 42 bytes, which testpmd's txonly writes into each frame, are one 16-bit word and
 * then this many 32-bit words, because a frame begins at 2 mod 4.
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
      // As in testpmd, a frame that finds no room is not tried again.
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

/**
 * Makes the loop of a direction.
 * @param frame the frame to send; its headers are written into each buffer
 */
export function bareLoop(device: NetDevice, direction: Direction, burst: number, frame: Uint8Array): Loop {
  if (direction === 'rx') return new Rx(device, burst);
  if (direction === 'forward') return new Forward(device, burst);
  return new Tx(device, burst, frame);
}
