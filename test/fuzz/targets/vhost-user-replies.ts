/**
 * A vhost-user backend that answers anything, to the frontend of our driver, over a real socket: wrong sizes, wrong requests,
 * refusals, features and configurations of every kind, descriptors of every kind with its answers, answers to nothing, or none. It
 * makes the eventfds that it shares with the frontend blocking, and fills their counters.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  acceptUnix,
  closeFile,
  connectUnix,
  listenUnix,
  MessageSocket,
  memfd,
  type Reactor,
  type Received,
} from '../../../drivers/libc/index.js';
import { HUGEPAGE_BYTES, type PacketMemory } from '../../../drivers/memory/index.js';
import { type Message, VhostUserChannel } from '../../../drivers/transports/vhost-user/channel.js';
import { VhostUserFrontend } from '../../../drivers/transports/vhost-user/frontend.js';
import * as p from '../../../drivers/transports/vhost-user/protocol.js';
import { PendingReplies } from '../../../drivers/transports/vhost-user/replies.js';
import { VIRTIO_F_VERSION_1 } from '../../../drivers/virtio/features.js';
import { DeviceStatus, negotiateFeatures } from '../../../drivers/virtio/negotiation.js';
import { NetConfigSpace } from '../../../drivers/virtio/net-config.js';
import type { Doorbell } from '../../../drivers/virtio/transport.js';
import { DescriptorKinds } from '../../support/libc/descriptor-kinds.js';
import { fillCounter, makeBlocking } from '../../support/libc/hostile-eventfd.js';
import { openFds } from '../../support/resources.js';
import { DescriptorGuard } from '../descriptor-guard.js';
import type { Input } from '../input.js';
import { ManualReactor } from '../manual-reactor.js';
import { check, type FuzzTarget } from '../target.js';

const R = p.VhostUserRequest;
const NAME = 'vhost-user:/fuzz';
const PROTOCOL_FEATURES = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_CONFIG | p.PROTOCOL_F_STATUS;
/** All fields of the device up to its duplex mode (virtio 1.2, 5.1.4). */
const CONFIG = Buffer.from([0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 0x05, 0x10, 0x27, 0, 0, 1]);
const LAYOUT = { size: 2, descriptors: 0, driver: 128, device: 256 };

/** What connect() sets up besides the socket. */
interface Internals {
  channel: unknown;
  reactor: unknown;
  replies: PendingReplies;
  memory: PacketMemory;
  events: { onInterrupt(): void; onConfigChange(): void; onLost(reason: string): void };
  offered: bigint;
  protocolFeatures: bigint;
  lost(channel: unknown, reason: string): void;
}

export const vhostUserReplies: FuzzTarget = {
  name: 'vhost-user-replies',
  summary:
    'a backend that answers our frontend with anything or not at all: driven or refused by a line, nothing left open',
  maxBytes: 256,
  prepare(feedback) {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-fuzz-'));
    const path = join(folder, 's');
    const listener = listenUnix(path);
    const memory = { address: HUGEPAGE_BYTES, size: HUGEPAGE_BYTES, fd: memfd('memory', HUGEPAGE_BYTES, false) };
    const more = new DescriptorKinds();
    const kinds = more.all;
    const guard = new DescriptorGuard();
    const bytes = Buffer.from(new ArrayBuffer(2 * p.MAX_PAYLOAD_BYTES));
    const atFirst = openFds();

    const run = async (input: Input): Promise<void> => {
      const frontend = new VhostUserFrontend('/fuzz', { closer: guard.closer });
      const inside = frontend as unknown as Internals;
      const reactor = new ManualReactor(guard);
      const fd = connectUnix(path);
      const backend = new MessageSocket(acceptUnix(listener, path)!, 'fuzz');
      guard.begin(fd);
      /** What the frontend has sent: its memory, then its eventfds. */
      const shared: number[] = [];
      let asked = 0;
      let losses = 0;

      /** What a sound backend answers. */
      const soundReply = (request: number, payload: Buffer | null): Buffer | null => {
        if (request === R.GET_CONFIG && payload !== null) {
          const reply = Buffer.from(payload);
          CONFIG.copy(reply, 12, reply.readUInt32LE(0));
          return reply;
        }
        if (request === R.GET_STATUS) return p.encodeU64(0x0bn);
        return request === R.GET_VRING_BASE ? p.encodeVringState({ index: 0, num: 0 }) : null;
      };
      let isConnected = true;
      const receive = (): Received | null => {
        try {
          return isConnected ? backend.receive(bytes) : null;
        } catch {
          // The frontend has hung up.
          return null;
        }
      };
      /** The backend reads what has come, and keeps the eventfds. The first descriptor is that of the memory. */
      const takeRequests = (): void => {
        for (let received = receive(); received !== null && received.bytes > 0; received = receive())
          shared.push(...received.fds);
      };
      const eventfds = (): number[] => shared.slice(1);
      const tell = (request: number, flags: number, payload: Buffer, fds: readonly number[]): void => {
        const message = Buffer.from(new ArrayBuffer(p.HEADER_BYTES + payload.length));
        p.encodeHeader(message, { request, flags, size: payload.length });
        payload.copy(message, p.HEADER_BYTES);
        try {
          if (isConnected) backend.send(message, fds);
        } catch {
          // As above.
        }
        reactor.ready(fd);
      };
      const answer = (request: number, flags: number, payload: Buffer | null): void => {
        const how = input.u8();
        takeRequests();
        // Whoever shares an eventfd may do that to it: neither a kick nor a look at it must wait.
        if ((how & 0xc0) === 0x40) {
          for (const event of eventfds()) {
            if ((how & 0x10) !== 0) fillCounter(event);
            if ((how & 0x20) !== 0) makeBlocking(event);
          }
        }
        let reply = soundReply(request, payload);
        if (reply === null && (flags & p.FLAG_NEED_REPLY) !== 0) reply = p.encodeU64(0n);
        if (reply !== null && how < 0xf0) {
          if ((how & 7) === 7)
            for (let changes = how >>> 4; changes > 0; changes--) reply[input.u8() % reply.length] = input.u8();
          if ((how & 0x78) === 0x78) reply = Buffer.concat([reply.subarray(0, input.u8()), input.take(how & 7)]);
          const which = (how & 0x88) === 0x88 ? input.u8() : -1;
          const fds = Array.from(
            { length: which < 0 ? 0 : 1 + (which >>> 5) },
            (_, i) => kinds[(which + i) % kinds.length]!,
          );
          tell((how & 0x7f) === 0x23 ? input.u32() : request, p.PROTOCOL_VERSION | p.FLAG_REPLY, reply, fds);
        }
        // One more, that nobody has asked for; or it hangs up.
        if (how >= 0xf8) tell(input.u8(), input.u8(), Buffer.from(input.take(8)), [input.pick(kinds)]);
        else if (how >= 0xf4) hangUp();
        // It says nothing: the time is over at once.
        else if (how >= 0xf0) inside.replies.failAll('too late');
      };
      const hangUp = (): void => {
        if (isConnected) backend.close();
        isConnected = false;
        reactor.ready(fd);
      };
      const handlers = {
        onMessage: (message: Message) => inside.replies.settle(message),
        onClose: (reason: string) => inside.lost(channel, reason),
      };
      const channel = new VhostUserChannel(reactor as unknown as Reactor, fd, NAME, handlers, guard.closer);
      channel.send = (request, flags, payload = null, fds = []) => {
        VhostUserChannel.prototype.send.call(channel, request, flags, payload, fds);
        asked++;
        queueMicrotask(() => {
          if (inside.channel === channel) answer(request, flags, payload);
        });
      };
      inside.channel = channel;
      inside.reactor = reactor;
      inside.replies = new PendingReplies(NAME);
      inside.memory = memory as unknown as PacketMemory;
      inside.events = { onInterrupt() {}, onConfigChange() {}, onLost: () => void losses++ };
      inside.offered = VIRTIO_F_VERSION_1 | input.u64();
      inside.protocolFeatures = PROTOCOL_FEATURES & ~BigInt(input.u8() & 8);

      let reached = 0;
      const drive = async (): Promise<void> => {
        const status = new DeviceStatus(frontend);
        await status.reset();
        await status.add(1);
        reached++;
        const features = await negotiateFeatures(frontend, status, {}, 2048);
        reached++;
        const { mac, mtu } = await NetConfigSpace.read(frontend, features);
        check(mac === null || (mac.length === 6 && (mac[0]! & 1) === 0), 'a group MAC address');
        check(mtu === null || mtu >= 68, `an MTU of ${mtu}`);
        reached++;
        const doorbells: Doorbell[] = [];
        for (const queue of [0, 1]) doorbells.push(await frontend.setupQueue(queue, LAYOUT));
        await status.add(4);
        reached++;
        for (const doorbell of doorbells) doorbell.ring(0);
        for (const [other, handler] of [...reactor.handlers]) if (other !== fd) handler();
        await NetConfigSpace.read(frontend, features);
        await frontend.getStatus();
        reached++;
      };
      try {
        await drive();
      } catch (error) {
        const { name, message } = error as Error;
        if (!(name === 'Error' || name === 'ProtocolError') || /undefined|Cannot|NaN|out of/.test(message)) throw error;
      }
      // What is still waited for has its time out.
      inside.replies.failAll('too late');
      const closing = frontend.close();
      await Promise.resolve();
      await Promise.resolve();
      inside.replies.failAll('too late');
      await closing;
      takeRequests();
      hangUp();
      for (const one of shared) closeFile(one);
      check(losses <= 1, `${losses} losses of one connection`);
      guard.end();
      check(reactor.handlers.size === 0, 'something is still watched');
      const open = openFds();
      check(open === atFirst, `${open - atFirst} descriptors are still open`);
      feedback.mark((reached * 2 + losses) * 64 + Math.min(asked, 63));
    };
    return {
      run,
      close: () => {
        guard.close();
        more.close();
        closeFile(listener);
        closeFile(memory.fd);
        rmSync(folder, { recursive: true });
      },
    };
  },
};
