/**
 * The two kinds of doorbell there are: an eventfd that the device's process waits on, and a register in a BAR. Each can be
 * described in plain data, so that another thread of the process opens it there.
 */
import { closeFile, duplicateFile, signalEventfd } from '../../libc/index.js';
import type { Doorbell } from '../transport.js';

/** What another thread needs to ring a doorbell; structured-cloneable. */
export type DoorbellShare =
  | { readonly kind: 'eventfd'; readonly fd: number }
  /** `value` is stored at index `register` of a view over shared memory. */
  | { readonly kind: 'register'; readonly u16: Uint16Array; readonly register: number; readonly value: number };

/** vhost-user: the kick descriptor. Its number is valid on all threads of the process for as long as it is open. */
export class EventfdDoorbell implements Doorbell {
  constructor(private readonly fd: number) {}

  ring(): void {
    signalEventfd(this.fd);
  }

  share(): DoorbellShare {
    return { kind: 'eventfd', fd: this.fd };
  }
}

/** virtio 1.2, 4.1.5.2: the queue's index, in 16 bits, to an address of its own. */
export class RegisterDoorbell implements Doorbell {
  constructor(
    private readonly u16: Uint16Array,
    private readonly register: number,
    private readonly value: number,
  ) {}

  ring(): void {
    // What was published before this is visible first: publishing ends with an atomic store and an atomic load.
    this.u16[this.register] = this.value;
  }

  share(): DoorbellShare {
    const { u16, register, value } = this;
    return { kind: 'register', u16, register, value };
  }
}

/** The doorbell that was described, on the calling thread. */
export function openDoorbell(share: DoorbellShare): Doorbell {
  if (share.kind === 'eventfd') return new EventfdDoorbell(share.fd);
  return new RegisterDoorbell(share.u16, share.register, share.value);
}

/** A doorbell for somebody who may hold on to it longer than the transport does. */
export interface LentDoorbell {
  readonly share: DoorbellShare;
  /** The borrower rings no more. */
  release(): void;
}

/**
 * Describes a doorbell that stays valid until it is released. A register stays harmless memory for as long as anybody refers
 * to it; a descriptor's number could become that of another file, so it is duplicated.
 */
export function lendDoorbell(share: DoorbellShare): LentDoorbell {
  if (share.kind === 'register') return { share, release: () => {} };
  const fd = duplicateFile(share.fd, 'a kick eventfd');
  let open = true;
  return {
    share: { kind: 'eventfd', fd },
    release: () => {
      if (open) closeFile(fd);
      open = false;
    },
  };
}
