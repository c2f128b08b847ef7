/**
 * Linux AIO: io_setup(2), io_submit(2), io_getevents(2), io_destroy(2). The C library has no functions for them. Each
 * request adds 1 to an eventfd when it is done.
 */
import * as c from './constants.js';
import { check } from './errors.js';
import { native } from './ffi/native.js';

const IOCB_BYTES = 64;
const IO_EVENT_BYTES = 32;
/** Number of events that are taken out of the kernel's ring at once. */
const MAX_EVENTS = 64;

const { io_setup = -1, io_destroy = -1, io_submit = -1, io_getevents = -1 } = c.AIO_CALLS;

/** One request (`struct iocb`), which can be submitted again and again, because the kernel copies it each time. */
export class AioRequest {
  /** Address of a list whose only entry points at the request, as io_submit(2) wants it. */
  readonly list: number;
  private readonly words = new Uint32Array(new ArrayBuffer(IOCB_BYTES));
  private readonly pointers = new BigUint64Array(new ArrayBuffer(8));

  /** Makes a request for 0 bytes. */
  constructor(opcode: number) {
    // The opcode is at byte 16, the flags are at 56.
    this.words[4] = opcode;
    this.words[14] = c.IOCB_FLAG_RESFD;
    this.pointers[0] = BigInt(native.address(this.words));
    this.list = native.address(this.pointers);
  }

  /** @param fd the file of the request @param eventfd gets 1 added when the request is done */
  aim(fd: number, eventfd: number): void {
    this.words[5] = fd;
    this.words[15] = eventfd;
  }
}

/** A set of requests under way, and of events that were not taken yet. Used by one thread. */
export class AioContext {
  private readonly id: number;
  private readonly events = new Uint8Array(new ArrayBuffer(MAX_EVENTS * IO_EVENT_BYTES));
  private readonly noWait = new Uint8Array(new ArrayBuffer(16));

  /**
   * Throws ENOSYS or EPERM when there is no AIO, and EAGAIN when all contexts of the machine are in use
   * (`fs.aio-max-nr`).
   * @param requests that may be under way at once; the kernel has room for more than a hundred events in any case
   * @param purpose named in the error
   */
  constructor(requests: number, purpose: string) {
    const made = new BigUint64Array(new ArrayBuffer(8));
    const result = native.syscall(io_setup, requests, native.address(made), 0, null, null);
    check(result, 'io_setup', `for ${purpose} (EAGAIN: sysctl fs.aio-max-nr is reached)`);
    this.id = Number(made[0]);
  }

  /** Submits one request. Returns 1, or minus the errno. */
  submit(request: AioRequest): number {
    const submitted = native.submitIo(io_submit, this.id, 1, request.list);
    return submitted >= 0 ? submitted : -native.errno();
  }

  /** Takes up to 64 events out of the ring, without waiting for them. Returns how many. */
  takeEvents(): number {
    return native.syscall(io_getevents, this.id, 0, MAX_EVENTS, this.events, this.noWait);
  }

  /** Destroys the context, which takes up to tens of milliseconds. At the end of the process the kernel does it. */
  destroy(): void {
    native.syscall(io_destroy, this.id, 0, 0, null, null);
  }
}
