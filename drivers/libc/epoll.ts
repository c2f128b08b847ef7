/** struct epoll_event and the set that it belongs to. */
import { check } from './errors.js';
import { native } from './ffi.js';

// The structure is packed on x86-64 only.
export const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
/** Where the eight bytes of the user's data are: a descriptor and a generation here. */
export const DATA_OFFSET = EVENT_BYTES - 8;

const change = Buffer.from(new ArrayBuffer(EVENT_BYTES));

/** epoll_ctl(2). `generation` comes back with every event of `fd`. */
export function controlEpoll(epfd: number, operation: number, fd: number, events: number, generation: number): void {
  change.writeUInt32LE(events >>> 0, 0);
  change.writeInt32LE(fd, DATA_OFFSET);
  change.writeUInt32LE(generation, DATA_OFFSET + 4);
  check(native.epollControl(epfd, operation, fd, change), 'epoll_ctl', `descriptor ${fd}`);
}
