/**
 * A vhost-user backend that answers anything, to the frontend of our driver: wrong sizes, wrong requests, refusals, features
 * and configurations of every kind, answers to nothing, or none. What is missing is the socket, which vhost-user has.
 */
import { closeInPlace } from '../../../drivers/libc/index.js';
import { MemoryWindow, type PacketMemory } from '../../../drivers/memory/index.js';
import { VhostUserFrontend } from '../../../drivers/transports/vhost-user/frontend.js';
import * as p from '../../../drivers/transports/vhost-user/protocol.js';
import { PendingReplies } from '../../../drivers/transports/vhost-user/replies.js';
import { VIRTIO_F_VERSION_1 } from '../../../drivers/virtio/features.js';
import { DeviceStatus, negotiateFeatures } from '../../../drivers/virtio/negotiation.js';
import { NetConfigSpace } from '../../../drivers/virtio/net-config.js';
import { openFds } from '../../support/resources.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const R = p.VhostUserRequest;
const NAME = 'vhost-user:/fuzz';
const PROTOCOL_FEATURES = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_CONFIG | p.PROTOCOL_F_STATUS;
const CONFIG = Buffer.from([0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 0x05]);
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
    const window = MemoryWindow.reserve(1);
    const memory = { address: window.address, size: window.size, fd: 0 } as unknown as PacketMemory;
    const atFirst = openFds();

    const run = async (input: Input): Promise<void> => {
      const frontend = new VhostUserFrontend('/fuzz', { closer: closeInPlace });
      const inside = frontend as unknown as Internals;
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
      const answer = (channel: object, request: number, flags: number, payload: Buffer | null): void => {
        const how = input.u8();
        let reply = soundReply(request, payload);
        if (reply === null && (flags & p.FLAG_NEED_REPLY) !== 0) reply = p.encodeU64(0n);
        try {
          if (reply !== null && how < 0xf0) {
            if ((how & 7) === 7)
              for (let changes = how >>> 4; changes > 0; changes--) reply[input.u8() % reply.length] = input.u8();
            if ((how & 0x78) === 0x78) reply = Buffer.concat([reply.subarray(0, input.u8()), input.take(how & 7)]);
            inside.replies.settle({
              request: (how & 0x7f) === 0x23 ? input.u32() : request,
              flags: p.FLAG_REPLY,
              payload: reply,
            });
          }
          // One more, that nobody has asked for; or it hangs up.
          if (how >= 0xf8)
            inside.replies.settle({ request: input.u8(), flags: input.u8(), payload: Buffer.from(input.take(8)) });
          else if (how >= 0xf4) throw new p.ProtocolError('closed');
          // It says nothing: the time is over at once.
          else if (how >= 0xf0) inside.replies.failAll('too late');
        } catch (error) {
          if (!(error instanceof p.ProtocolError)) throw error;
          inside.lost(channel, error.message);
        }
      };
      const channel = {
        send(request: number, flags: number, payload: Buffer | null) {
          asked++;
          queueMicrotask(() => {
            if (inside.channel === channel) answer(channel, request, flags, payload);
          });
        },
        close() {},
      };
      inside.channel = channel;
      inside.reactor = { watch() {}, unwatch() {}, close() {} };
      inside.replies = new PendingReplies(NAME);
      inside.memory = memory;
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
        for (const queue of [0, 1]) await frontend.setupQueue(queue, LAYOUT);
        await status.add(4);
        reached++;
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
      check(losses <= 1, `${losses} losses of one connection`);
      if (reached > 2) check(openFds() === atFirst, 'a descriptor is still open');
      feedback.mark((reached * 2 + losses) * 64 + Math.min(asked, 63));
    };
    return { run };
  },
};
