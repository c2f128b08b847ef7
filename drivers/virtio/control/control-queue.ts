/**
 * The control queue (virtio 1.2, 5.1.6.5): commands to the network device, one at a time, each answered by one byte.
 *
 * The queue has one buffer, with the command at its beginning and the answer at its end. There are no interrupts: the
 * answer is polled for, and a device that does not answer in time counts as broken.
 */
import { BufferPool } from '../../../rings/buffer-pool.js';
import { formatMac, MAC_BYTES } from '../../mac-address.js';
import type { AddressSpace, PacketMemory } from '../../memory/index.js';
import { allocateSplitQueue } from '../driver/split-queue.js';
import { featureNames } from '../features.js';
import type { Doorbell, QueueLayout } from '../transport.js';
import { type CommandRing, PackedCommandRing, SplitCommandRing } from './command-ring.js';

const QUEUE_SIZE = 16;
const BUFFER_SHIFT = 11;
/** Where the answer lies in the buffer: after the longest command. */
const ACK_OFFSET = (1 << BUFFER_SHIFT) - 1;
const ACK_OK = 0;
/** What is stored there before the command is sent: no answer that the specification knows. */
const ACK_NONE = 0xff;
const ANSWER_MS = 1000;

/** Class and command (5.1.6.5.1, .2, .4 and .8). */
const RX_PROMISC = [0, 0] as const;
const RX_ALLMULTI = [0, 1] as const;
const MAC_TABLE_SET = [1, 0] as const;
const MAC_ADDR_SET = [1, 1] as const;
const ANNOUNCE_ACK = [3, 0] as const;
const GUEST_OFFLOADS_SET = [5, 0] as const;

export class ControlQueue {
  private ring: CommandRing;
  private readonly area: QueueLayout;
  private readonly pool: BufferPool;
  /** Settles when the last command has ended: commands wait for each other. */
  private last: Promise<unknown> = Promise.resolve();
  /** Number of resets. A command that was sent before a reset is never answered. */
  private resets = 0;

  /** Takes the queue's memory. A device may use less of it. */
  constructor(
    readonly name: string,
    private readonly memory: PacketMemory,
  ) {
    this.area = allocateSplitQueue(memory, QUEUE_SIZE);
    const base = memory.allocate(1 << BUFFER_SHIFT, 1 << BUFFER_SHIFT);
    this.pool = new BufferPool({ count: 1, shift: BUFFER_SHIFT, base });
    this.ring = new SplitCommandRing(name, memory, this.area, this.pool);
  }

  get layout(): QueueLayout {
    return this.ring.layout;
  }

  /** Sets the doorbell that announces commands, from DRIVER_OK on. */
  attach(doorbell: Pick<Doorbell, 'ring'>): void {
    this.ring.attach(doorbell);
  }

  /** Starts the queue after a reset. `limit` is the number of entries that the device allows. */
  start(space: AddressSpace, packed: boolean, eventIdx: boolean, limit: number): void {
    if (limit < 2) throw new Error(`${this.name}: the device offers CTRL_VQ, but allows ${limit} entries`);
    // On the ring as it was before: the buffer that it held comes back to the pool.
    this.ring.reset(space, 0, eventIdx);
    this.ring = new (packed ? PackedCommandRing : SplitCommandRing)(this.name, this.memory, this.area, this.pool);
    this.ring.resize(Math.min(QUEUE_SIZE, 1 << (31 - Math.clz32(limit))));
    this.ring.reset(space, 0, eventIdx);
    this.last = Promise.resolve();
    this.resets++;
  }

  /** Receives all frames, or those that the filter accepts. Needs CTRL_RX. */
  setPromiscuous(on: boolean): Promise<void> {
    return this.command(RX_PROMISC, Uint8Array.of(on ? 1 : 0), `promiscuous mode ${on ? 'on' : 'off'}`);
  }

  /** Receives frames to all groups, or to those of the filter. Needs CTRL_RX. */
  setAllMulticast(on: boolean): Promise<void> {
    return this.command(RX_ALLMULTI, Uint8Array.of(on ? 1 : 0), `all-multicast ${on ? 'on' : 'off'}`);
  }

  /**
   * Sets the filter: stations and groups whose frames are received, besides our own MAC and broadcast. Needs CTRL_RX.
   */
  setMacTable(stations: readonly Uint8Array[], groups: readonly Uint8Array[]): Promise<void> {
    const data = Buffer.alloc(8 + MAC_BYTES * (stations.length + groups.length));
    let at = 0;
    for (const table of [stations, groups]) {
      at = data.writeUInt32LE(table.length, at);
      for (const mac of table) {
        data.set(mac, at);
        at += MAC_BYTES;
      }
    }
    return this.command(MAC_TABLE_SET, data, `a filter of ${stations.length + groups.length} addresses`);
  }

  /** Sets the device's own address. Needs CTRL_MAC_ADDR. */
  setMac(mac: Uint8Array): Promise<void> {
    return this.command(MAC_ADDR_SET, mac, `the MAC address ${formatMac(mac)}`);
  }

  /** Says that we have announced our address. Needs GUEST_ANNOUNCE. */
  acknowledgeAnnounce(): Promise<void> {
    return this.command(ANNOUNCE_ACK, new Uint8Array(0), 'the acknowledgement of an announcement');
  }

  /** Sets the receive offloads that are on, each by the bit of its feature. Needs CTRL_GUEST_OFFLOADS. */
  setGuestOffloads(offloads: bigint): Promise<void> {
    const data = Buffer.alloc(8);
    data.writeBigUInt64LE(offloads);
    return this.command(GUEST_OFFLOADS_SET, data, `the receive offloads ${featureNames(offloads)}`);
  }

  /** Sends one command and waits for its answer. Rejects with one line when the device refuses or does not answer. */
  private command(command: readonly [number, number], data: Uint8Array, what: string): Promise<void> {
    const turn = this.last.then(() => this.exchange(command, data, what));
    this.last = turn.catch(() => {});
    return turn;
  }

  private async exchange(command: readonly [number, number], data: Uint8Array, what: string): Promise<void> {
    const { ring } = this;
    const { u8 } = this.memory;
    if (ring.broken !== '') throw new Error(ring.broken);
    const handle = this.pool.get();
    const at = this.pool.offsetOf(handle);
    u8.set(command, at);
    u8.set(data, at + command.length);
    u8[at + ACK_OFFSET] = ACK_NONE;
    ring.submit(handle, command.length + data.length, ACK_OFFSET);
    await this.answer(what);
    this.pool.put(handle);
    if (u8[at + ACK_OFFSET] !== ACK_OK) throw new Error(`${this.name}: the device refuses ${what}`);
  }

  /**
   * Waits until the command was used. Without an answer the buffer stays the device's; the queue is broken until a
   * reset.
   */
  private async answer(what: string): Promise<void> {
    const until = performance.now() + ANSWER_MS;
    const { ring, resets } = this;
    while (!ring.answered()) {
      if (ring.broken === '' && performance.now() >= until) {
        ring.broken = `${this.name}: the device did not answer within ${ANSWER_MS} ms to the request for ${what}`;
      }
      if (ring.broken !== '') throw new Error(ring.broken);
      await new Promise((resolve) => setImmediate(resolve));
      if (this.resets !== resets)
        throw new Error(`${this.name}: the device was reset before it answered the request for ${what}`);
    }
  }
}
