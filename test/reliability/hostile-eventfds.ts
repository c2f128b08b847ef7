/**
 * Hostile neighbours that misuse their call eventfds. They speak vhost-user themselves, let the switch put frames into their ring
 * and take frames out of it, and want a signal for each.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { udpFrame } from '../../bench/common/frames.js';
import { connectUnix, Reactor } from '../../drivers/libc/index.js';
import { VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1 } from '../../drivers/virtio/features.js';
import { fillCounter, makeBlocking, Waiters } from '../support/libc/hostile-eventfd.js';
import { FakeFrontend } from '../support/vhost-user/fake-frontend.js';
import { ipOf, macOf } from './numbered.js';

const FRAME_BYTES = 60;
const HEADER_BYTES = 12;
const BUFFER_BYTES = 2048;
/** Frames that are on their way to the switch at a time, and buffers for frames from it. */
const IN_FLIGHT = 8;
/** Waiters for each call eventfd: a signal takes some 20 ms. */
const WAITERS = 200_000;

export const EVENTFD_KINDS = [
  'blocks and fills its call eventfds',
  'has very many wait for its call eventfds',
] as const;

/** Goes on until the process ends. `begun` is called when the switch has used a buffer. */
export async function misuseEventfds(
  path: string,
  kind: (typeof EVENTFD_KINDS)[number],
  begun: () => void,
): Promise<never> {
  const frontend = new FakeFrontend(connectUnix(path), new Reactor());
  frontend.start(VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES, 0n);
  const { rx, tx } = frontend;
  const calls = [rx.options.callFd, tx.options.callFd];
  // To itself, so that both of its rings are used and nobody else is flooded.
  const self = { ip: ipOf(3), mac: macOf(3) };
  const frame = udpFrame(FRAME_BYTES, self, self);
  const frameAt = tx.buffer(HEADER_BYTES + FRAME_BYTES);
  frontend.window.u8.set(frame, frameAt + HEADER_BYTES);
  const buffer = rx.buffer(BUFFER_BYTES);
  const send = (frames: number): void => {
    for (let n = 0; n < frames; n++) tx.offer([{ offset: frameAt, length: HEADER_BYTES + FRAME_BYTES }]);
  };
  const post = (buffers: number): void => {
    for (let n = 0; n < buffers; n++) rx.offer([{ offset: buffer, length: BUFFER_BYTES, write: true }]);
  };
  send(IN_FLIGHT);
  post(IN_FLIGHT);
  if (kind !== 'blocks and fills its call eventfds') for (const fd of calls) new Waiters(fd, WAITERS);
  let hasBegun = false;
  for (;;) {
    if (kind === 'blocks and fills its call eventfds') {
      for (const fd of calls) {
        fillCounter(fd);
        makeBlocking(fd);
      }
    }
    frontend.kick(1);
    await nextTurn();
    const sent = tx.takeUsed().length;
    send(sent);
    post(rx.takeUsed().length);
    if (!hasBegun && sent > 0) begun();
    hasBegun ||= sent > 0;
  }
}
