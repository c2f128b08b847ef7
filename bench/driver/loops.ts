/**
 * What a contestant of ours does all the time, on the bare driver: the same as the forward modes of testpmd, its peer. A
 * loop has fields for all that it uses, so that nothing is looked up or allocated a packet.
 */
import type { NetDevice } from '../../drivers/net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { swapMacs } from '../../src/wire/ethernet.js';
import type { Direction } from './scene.js';

export interface Loop {
  /** Frames that the device took, or that came from it. */
  packets: number;
  poll(): void;
}

/** What testpmd's txonly writes into each frame: the Ethernet, IPv4 and UDP headers, in 16-bit words. */
const HEADER_WORDS = 21;

class Tx implements Loop {
  packets = 0;
  private readonly handles: Uint32Array;
  private readonly lengths: Uint32Array;
  private readonly words: Uint16Array;

  /** @param header HEADER_WORDS words, for each frame */
  constructor(
    private readonly device: NetDevice,
    private readonly burst: number,
    bytes: number,
    private readonly header: Uint16Array,
  ) {
    this.handles = new Uint32Array(burst);
    this.lengths = new Uint32Array(burst).fill(bytes);
    this.words = device.memory.u16;
  }

  poll(): void {
    const { device, burst, handles, header, words } = this;
    const { pool } = device;
    if (pool.available < burst) device.reclaimTx();
    if (pool.available < burst) return;
    for (let i = 0; i < burst; i++) {
      const handle = pool.get();
      handles[i] = handle;
      const start = (pool.offsetOf(handle) + FRAME_OFFSET) >>> 1;
      for (let word = 0; word < HEADER_WORDS; word++) words[start + word] = header[word]!;
    }
    const taken = device.txBurst(handles, this.lengths, burst);
    this.packets += taken;
    // As testpmd: what finds no room is not tried again.
    for (let i = taken; i < burst; i++) pool.put(handles[i]!);
  }
}

class Rx implements Loop {
  packets = 0;

  constructor(
    private readonly device: NetDevice,
    private readonly burst: number,
  ) {}

  poll(): void {
    const { device } = this;
    const { pool, rxHandles } = device;
    const count = device.rxBurst(this.burst);
    for (let i = 0; i < count; i++) pool.put(rxHandles[i]!);
    this.packets += count;
  }
}

class Forward implements Loop {
  packets = 0;
  private readonly words: Uint16Array;

  constructor(
    private readonly device: NetDevice,
    private readonly burst: number,
  ) {
    this.words = device.memory.u16;
  }

  poll(): void {
    const { device, words } = this;
    const { pool, rxHandles: handles, rxLengths: lengths } = device;
    if (pool.available < this.burst) device.reclaimTx();
    const count = device.rxBurst(this.burst);
    if (count === 0) return;
    for (let i = 0; i < count; i++) swapMacs(words, pool.offsetOf(handles[i]!) + FRAME_OFFSET);
    const taken = device.txBurst(handles, lengths, count);
    for (let i = taken; i < count; i++) pool.put(handles[i]!);
    this.packets += taken;
  }
}

/** @param frame what to send; its headers go into each frame anew */
export function bareLoop(device: NetDevice, direction: Direction, burst: number, frame: Uint8Array): Loop {
  if (direction === 'rx') return new Rx(device, burst);
  if (direction === 'forward') return new Forward(device, burst);
  return new Tx(device, burst, frame.length, new Uint16Array(frame.slice(0, 2 * HEADER_WORDS).buffer));
}
