/** A vhost-user frontend for tests: sends what it is told to, in any order, and drives rings with the slow model. */
import { closeFile, closeInPlace, eventfd, memfd, type Reactor, signalEventfd } from '../../../drivers/libc/index.js';
import { HUGEPAGE_BYTES, MemoryWindow } from '../../../drivers/memory/index.js';
import { type ChannelHandlers, VhostUserChannel } from '../../../drivers/transports/vhost-user/channel.js';
import * as p from '../../../drivers/transports/vhost-user/protocol.js';
import type { RingOptions } from '../../../drivers/virtio/device/ring.js';
import { type DriverModel, GUEST_BASE } from '../virtio/driver-model.js';
import { PackedDriverModel } from '../virtio/packed-driver-model.js';
import { SplitDriverModel } from '../virtio/split-driver-model.js';

const R = p.VhostUserRequest;
/** Address of the memory in this frontend's process, as it claims. */
export const USER_BASE = 0x7f00_0000_0000n;

export class FakeFrontend {
  readonly memoryFd = memfd('frontend', HUGEPAGE_BYTES, false);
  readonly window = MemoryWindow.reserve(HUGEPAGE_BYTES);
  /** The driver's receive queue (ring 0) and transmit queue (ring 1). */
  readonly drivers: readonly [DriverModel, DriverModel];
  readonly kicks = [eventfd(), eventfd()];
  /** Why the backend hung up; `null` while it has not. */
  hungUp: string | null = null;
  private readonly channel: VhostUserChannel;
  private readonly awaited: ((reply: { request: number; flags: number; payload: Buffer }) => void)[] = [];

  /** Takes over a connected socket. */
  constructor(fd: number, reactor: Reactor, options: Partial<RingOptions> = {}) {
    this.window.mapFile(0, HUGEPAGE_BYTES, this.memoryFd, 0, 'frontend memory');
    const Driver = options.packed ? PackedDriverModel : SplitDriverModel;
    this.drivers = [new Driver(options, this.window, 0), new Driver(options, this.window, 1)];
    const handlers: ChannelHandlers = {
      onMessage: ({ request, flags, payload }) => {
        this.awaited.shift()?.({ request, flags, payload: Buffer.from(payload) });
      },
      onClose: (reason) => {
        this.hungUp = reason;
      },
    };
    this.channel = new VhostUserChannel(reactor, fd, 'frontend', handlers, closeInPlace);
  }

  /** The rings of a frontend without packed ones. */
  get rx(): SplitDriverModel {
    return this.drivers[0] as SplitDriverModel;
  }

  get tx(): SplitDriverModel {
    return this.drivers[1] as SplitDriverModel;
  }

  tell(request: number, payload: Buffer | null = null, fds: readonly number[] = [], flags = 0): void {
    this.channel.send(request, flags, payload, fds);
  }

  /** Sends a request and returns the payload of the reply. */
  async ask(request: number, payload: Buffer | null = null, fds: readonly number[] = [], flags = 0): Promise<Buffer> {
    const reply = new Promise<{ request: number; flags: number; payload: Buffer }>((resolve) => {
      this.awaited.push(resolve);
    });
    this.tell(request, payload, fds, flags);
    const answer = await reply;
    if (answer.request !== request || (answer.flags & p.FLAG_REPLY) === 0) throw new Error('not the reply');
    return answer.payload;
  }

  /** Sends a request with need_reply; true when the backend says that it has carried it out. */
  async confirm(request: number, payload: Buffer | null = null, fds: readonly number[] = []): Promise<boolean> {
    return p.decodeU64(await this.ask(request, payload, fds, p.FLAG_NEED_REPLY), 'ack') === 0n;
  }

  setFeatures(features: bigint, protocolFeatures: bigint): void {
    this.tell(R.SET_OWNER);
    this.tell(R.SET_PROTOCOL_FEATURES, p.encodeU64(protocolFeatures));
    this.tell(R.SET_FEATURES, p.encodeU64(features));
  }

  region(): p.MemoryRegion {
    return { guestAddress: BigInt(GUEST_BASE), size: BigInt(HUGEPAGE_BYTES), userAddress: USER_BASE, mmapOffset: 0n };
  }

  setMemory(region = this.region()): void {
    this.tell(R.SET_MEM_TABLE, p.encodeMemoryTable([region]), [this.memoryFd]);
  }

  address(index: number): p.VringAddress {
    const { desc, avail, used } = this.drivers[index]!.place;
    const at = (offset: number): bigint => USER_BASE + BigInt(offset);
    return { index, flags: 0, descriptor: at(desc), available: at(avail), used: at(used), log: 0n };
  }

  /** Everything that a ring needs except the kick. */
  setRing(index: number): void {
    const { size, base, callFd } = this.drivers[index]!.options;
    this.tell(R.SET_VRING_NUM, p.encodeVringState({ index, num: size }));
    this.tell(R.SET_VRING_BASE, p.encodeVringState({ index, num: base }));
    this.tell(R.SET_VRING_ADDR, p.encodeVringAddress(this.address(index)));
    this.tell(R.SET_VRING_CALL, p.encodeVringFd(index, true), [callFd]);
  }

  setKick(index: number): void {
    this.tell(R.SET_VRING_KICK, p.encodeVringFd(index, true), [this.kicks[index]!]);
  }

  setEnabled(index: number, num: number): void {
    this.tell(R.SET_VRING_ENABLE, p.encodeVringState({ index, num }));
  }

  kick(index: number): void {
    signalEventfd(this.kicks[index]!);
  }

  /** Brings both rings up to started and enabled. */
  start(features: bigint, protocolFeatures: bigint): void {
    this.setFeatures(features, protocolFeatures);
    this.setMemory();
    for (const index of [0, 1]) {
      this.setRing(index);
      this.setKick(index);
      this.setEnabled(index, 1);
      this.kick(index);
    }
  }

  close(): void {
    this.channel.close();
    for (const driver of this.drivers) driver.close();
    for (const fd of [...this.kicks, this.memoryFd]) closeFile(fd);
  }
}
