/** One port of the rows `vxlan`: it sends one frame again and again, and counts those that arrive as expected. */
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { parseMac } from '../../src/wire/address.js';
import type { WireMemory } from '../../src/wire/memory.js';
import { patiently } from './patiently.js';
import { NETWORK_MTU, OUTER_BYTES } from './tunnel.js';

const BURST = 32;
const RING_ENTRIES = 256;
const RX_BUFFERS = 2 * RING_ENTRIES;
const TX_BUFFERS = 2 * RING_ENTRIES;
/** Bytes of the destination and the source address. */
const ADDRESS_BYTES = 12;

type IsRight = (memory: WireMemory, at: number, length: number, expected: Uint8Array) => boolean;

export interface TunnelEndOptions {
  readonly mac: string;
  readonly hugepages: boolean;
  readonly sends: Uint8Array;
  readonly expects: Uint8Array;
  /** Whether a frame is as expected. */
  readonly isRight: IsRight;
}

/** Whether `length` bytes at `at` are those that are expected. */
export const isPlain: IsRight = ({ u8 }, at, length, expected) =>
  Buffer.compare(u8.subarray(at, at + length), expected) === 0;

export class TunnelEnd {
  /** Frames of the expected length. All others are not counted. */
  received = 0;
  private isChecking = false;
  private right = 0;
  private wrong = 0;
  private readonly free: number[] = [];
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths: Uint32Array;
  private readonly words: Uint16Array;
  private readonly sent: Uint16Array;
  /** Where the words begin that are written for each frame: a sender has just written the headers of a frame. */
  private readonly places: readonly number[];

  private constructor(
    private readonly device: VirtioNetDevice,
    private readonly options: TunnelEndOptions,
  ) {
    const { sends } = options;
    const { pool, memory } = device;
    this.words = memory.u16;
    this.sent = new Uint16Array(sends.slice(0, sends.length & ~1).buffer);
    this.lengths = new Uint32Array(BURST).fill(sends.length);
    const addresses = sends.length > options.expects.length ? [0, OUTER_BYTES] : [0];
    this.places = addresses.flatMap((at) => Array.from({ length: ADDRESS_BYTES / 2 }, (_, i) => at / 2 + i));
    for (let handle = RX_BUFFERS; handle < RX_BUFFERS + TX_BUFFERS; handle++) {
      memory.u8.set(sends, pool.offsetOf(handle) + FRAME_OFFSET);
      this.free.push(handle);
    }
  }

  static async connect(socket: string, options: TunnelEndOptions): Promise<TunnelEnd> {
    const device = await patiently(() =>
      VirtioNetDevice.open(new VhostUserFrontend(socket), {
        ...{ mac: parseMac(options.mac), hugepages: options.hugepages ? 'require' : 'never', mtu: NETWORK_MTU },
        ...{ queueSize: RING_ENTRIES, buffers: RX_BUFFERS + TX_BUFFERS, separateSent: true },
        // Received frames do not overwrite those to send.
        ownBuffers: { first: 0, end: RX_BUFFERS },
      }),
    );
    return new TunnelEnd(device, options);
  }

  send(): void {
    const { device, free, handles, lengths, words, sent, places } = this;
    device.reclaimTx();
    const { pool, sent: reclaimed } = device;
    while (reclaimed.available > 0) free.push(reclaimed.get());
    if (free.length < BURST) return;
    for (let i = 0; i < BURST; i++) {
      const handle = free[free.length - 1 - i];
      handles[i] = handle;
      const start = (pool.offsetOf(handle) + FRAME_OFFSET) >>> 1;
      for (let w = 0; w < places.length; w++) words[start + places[w]] = sent[places[w]];
    }
    // What was not taken stays where it was in the list.
    free.length -= device.txBurst(handles, lengths, BURST);
  }

  receive(): void {
    const { device } = this;
    const { rxHandles, rxLengths, pool } = device;
    const expected = this.options.expects.length;
    const count = device.rxBurst(BURST);
    for (let i = 0; i < count; i++) {
      if (rxLengths[i] === expected) {
        this.received++;
        if (this.isChecking) this.check(rxHandles[i]);
      }
      pool.put(rxHandles[i]);
    }
  }

  startChecking(): void {
    this.right = 0;
    this.wrong = 0;
    this.isChecking = true;
  }

  stopChecking(): { right: number; wrong: number } {
    this.isChecking = false;
    return { right: this.right, wrong: this.wrong };
  }

  private check(handle: number): void {
    const { device, options } = this;
    const at = device.pool.offsetOf(handle) + FRAME_OFFSET;
    if (options.isRight(device.memory, at, options.expects.length, options.expects)) this.right++;
    else this.wrong++;
  }
}
