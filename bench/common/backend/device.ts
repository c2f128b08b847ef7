/**
 * The backend's end of a vhost-user link as a network device, so that a stack can be the load of another one without a
 * switch between them: give {@link openBackendDevice} to `init`. The peer is a driver: tspmd's, a guest, DPDK.
 *
 * Packets are copied once in each direction, between the peer's buffers and ours. A packet for which the peer has posted
 * no buffer is not taken: nothing is lost.
 */

import { Reactor } from '../../../drivers/libc/index.js';
import {
  copierFor,
  copyBetween,
  type MemoryViews,
  WindowAllocator,
  type WindowRange,
} from '../../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../../drivers/net-device.js';
import { OFFLOAD_CHAIN, type OffloadPolicy, PORT_OFFLOADS } from '../../../drivers/offloads.js';
import { VhostUserBackend } from '../../../drivers/transports/vhost-user/backend.js';
import type { QueuePair } from '../../../drivers/transports/vhost-user/queue-pair.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { QueueCounter } from '../../../drivers/virtio/device/queue-counters.js';
import { randomMac } from '../../../drivers/virtio/net-config.js';
import { NET_HEADER_BYTES } from '../../../drivers/virtio/net-header.js';
import { bufferShift, DEFAULT_MTU, FRAME_OVERHEAD } from '../../../drivers/virtio/net-options.js';
import { BufferPool, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { PacketTable } from '../../../rings/packet-table.js';
import type { ResolvedConfig } from '../../../src/config.js';
import { BackendChains, DROPPED } from './chains.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL_BURST = MAX_BURST;
const FRAME = FRAME_OFFSET;
const HEADER = NET_HEADER_BYTES;

export interface BackendDeviceOptions {
  readonly buffers: number;
  /** Our MAC address, six bytes. Default: a random one. */
  readonly mac?: Uint8Array | undefined;
  /** Longest IP packet in bytes. Default 1500. */
  readonly mtu?: number | undefined;
  /** With `auto`, the peer may leave checksums and segmentation to us, and we to the peer. Default `off`. */
  readonly offloads?: OffloadPolicy | undefined;
}

/** Opens the device of a configuration with `device: 'vhost-user:PATH'`: for the option `openDevice` of `init`. */
export async function openBackendDevice({ device, buffers, mac, mtu, offloads }: ResolvedConfig): Promise<NetDevice> {
  return new BackendDevice(device.slice('vhost-user:'.length), { buffers, mac, mtu, offloads });
}

export class BackendDevice implements NetDevice {
  readonly name: string;
  readonly notice = '';
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly table: PacketTable;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  isUp = false;
  // Closures: docs/v8.md, "Bursts as closures".
  readonly rxBurst: (max: number) => number;
  readonly txBurst: (handles: Uint32Array, lengths: Uint32Array, count: number) => number;

  private readonly reactor = new Reactor();
  private readonly windows = new WindowAllocator();
  private readonly backend: VhostUserBackend;
  private readonly pair: QueuePair;
  /** With offloads: all that is not the same without. */
  private readonly chains: BackendChains | null = null;
  private readonly arrived: PacketBurst;
  private readonly leaving: PacketBurst;
  private readonly all = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
  private readonly range: WindowRange;
  private readonly longestFrame: number;
  private rxTooLong = 0;
  private closing: Promise<void> | null = null;

  /**
   * Makes the socket, and listens. The peer may come and go at any time.
   * @param path of the socket
   */
  constructor(path: string, options: BackendDeviceOptions) {
    const { buffers, offloads = 'off', mtu = DEFAULT_MTU } = options;
    this.name = `vhost-user:${path}`;
    this.mac = options.mac ?? randomMac();
    this.mtu = mtu;
    this.longestFrame = mtu + FRAME_OVERHEAD;
    const shift = bufferShift(this.name, mtu, offloads);
    // In the window of the peer's memory, so that copies are fast.
    this.range = this.windows.allocate(buffers << shift);
    const { window, offset } = this.range;
    this.memory = window;
    this.pool = new BufferPool({ count: buffers, shift, base: offset });
    this.table = new PacketTable(buffers);
    this.arrived = new PacketBurst(this.memory);
    this.leaving = new PacketBurst(this.memory);
    if (offloads === 'auto') this.chains = new BackendChains(this.memory, this.pool, this.table, this.longestFrame);
    const { reactor, windows } = this;
    const offered = offloads === 'auto' ? {} : { offloads: 0 };
    this.backend = new VhostUserBackend({ path, reactor, windows, ...offered });
    const [pair] = this.backend.pairs;
    this.pair = pair;
    pair.onKick = () => this.onWake?.();
    this.backend.onChange = () => this.changed();
    this.rxBurst = this.chains === null ? this.makeReceive() : this.makeReceiveChains(this.chains);
    this.txBurst = this.chains === null ? this.makeSend() : this.makeSendChains(this.chains);
  }

  get sent(): BufferPool {
    return this.pool;
  }

  get offloads(): number {
    return this.chains === null ? 0 : OFFLOAD_CHAIN | (this.pair.rxQueue?.offloads ?? PORT_OFFLOADS);
  }

  get pollOnly(): boolean {
    return this.pair.pollOnly;
  }

  /** A packet is sent when it was copied. */
  reclaimTx(): void {}

  enableRxInterrupt(): boolean {
    return this.pair.enableKick();
  }

  disableRxInterrupt(): void {
    this.pair.disableKick();
  }

  keepAlive(on: boolean): void {
    this.reactor.keepAlive(on);
  }

  counters(): DeviceCounters {
    const { txCounts, rxCounts } = this.pair;
    return {
      rx_packets: txCounts[QueueCounter.packets],
      rx_bytes: txCounts[QueueCounter.bytes],
      rx_dropped_too_long: this.rxTooLong,
      tx_packets: rxCounts[QueueCounter.packets],
      tx_bytes: rxCounts[QueueCounter.bytes],
      // No packet is put without a buffer, so these come from a peer that went away, or took buffers back.
      tx_lost_on_reset: rxCounts[QueueCounter.noBuffer] + rxCounts[QueueCounter.noDriver],
      device_errors: rxCounts[QueueCounter.noRoom] + rxCounts[QueueCounter.tooLong],
      ...this.chains?.counters(),
    };
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    this.isUp = false;
    this.backend.onChange = null;
    await this.backend.close();
    this.reactor.close();
    this.windows.release(this.range);
  }

  private changed(): void {
    const isUp = this.pair.txQueue !== null && this.pair.rxQueue !== null;
    if (isUp === this.isUp) return;
    this.isUp = isUp;
    this.onLink?.(isUp ? 'up' : 'down', `${this.name}: the queues of the peer have ${isUp ? 'started' : 'stopped'}`);
    this.onWake?.();
  }

  private makeReceive(): (max: number) => number {
    const { pair, pool, arrived, memory, longestFrame, rxHandles, rxLengths } = this;
    const copy = copierFor(memory);
    return (max) => {
      const most = max < FULL_BURST ? max : FULL_BURST;
      const taken = pair.take(arrived, most < pool.available ? most : pool.available);
      if (taken === 0) return 0;
      const { segmentOffset, segmentLength, firstSegment, length } = arrived;
      const inWindow = arrived.memory === memory;
      let count = 0;
      for (let i = 0; i < taken; i++) {
        const bytes = length[i];
        if (bytes > longestFrame) {
          this.rxTooLong++;
          continue;
        }
        const handle = pool.get();
        let to = pool.offsetOf(handle) + FRAME;
        rxHandles[count] = handle;
        rxLengths[count++] = bytes;
        for (let s = firstSegment[i]; s < firstSegment[i + 1]; s++) {
          if (inWindow) copy(to, segmentOffset[s], segmentLength[s]);
          else copyBetween(memory, to, arrived.memory, segmentOffset[s], segmentLength[s]);
          to += segmentLength[s];
        }
      }
      pair.complete();
      return count;
    };
  }

  private makeReceiveChains(chains: BackendChains): (max: number) => number {
    const { pair, pool, arrived, rxHandles, rxLengths } = this;
    const { mostParts } = chains;
    return (max) => {
      const most = max < FULL_BURST ? max : FULL_BURST;
      const room = Math.floor(pool.available / mostParts);
      const taken = pair.take(arrived, most < room ? most : room);
      if (taken === 0) return 0;
      let count = 0;
      for (let i = 0; i < taken; i++) {
        const handle = chains.receive(arrived, i);
        if (handle === DROPPED) continue;
        rxHandles[count] = handle;
        rxLengths[count++] = chains.length;
      }
      pair.complete();
      return count;
    };
  }

  private makeSend(): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { pair, pool, leaving, all } = this;
    return (handles, lengths, count) => {
      const queue = pair.rxQueue;
      if (queue === null) return 0;
      const taken = queue.posted(count < FULL_BURST ? count : FULL_BURST);
      if (taken === 0) return 0;
      leaving.clear();
      for (let i = 0; i < taken; i++) leaving.push(pool.offsetOf(handles[i]) + FRAME, lengths[i]);
      pair.put(leaving, all, taken);
      for (let i = 0; i < taken; i++) pool.put(handles[i]);
      return taken;
    };
  }

  private makeSendChains(chains: BackendChains): (handles: Uint32Array, lengths: Uint32Array, count: number) => number {
    const { pair, pool, table, leaving, all } = this;
    const sent = new Uint32Array(MAX_BURST);
    return (handles, lengths, count) => {
      const queue = pair.rxQueue;
      if (queue === null) return 0;
      const most = count < FULL_BURST ? count : FULL_BURST;
      const buffer = HEADER + queue.nextRoom();
      let needed = 0;
      for (let i = 0; i < most; i++) needed += chains.buffersFor(handles[i], lengths[i], buffer);
      let left = queue.posted(needed);
      let taken = 0;
      leaving.clear();
      for (; taken < most; taken++) {
        const handle = handles[taken];
        left -= chains.buffersFor(handle, lengths[taken], buffer);
        if (left < 0) break;
        sent[leaving.count] = handle;
        chains.append(handle, lengths[taken], leaving);
      }
      const packets = leaving.count;
      if (packets > 0) pair.put(leaving, all, packets);
      for (let i = 0; i < packets; i++) table.free(sent[i], pool);
      return taken;
    };
  }
}
