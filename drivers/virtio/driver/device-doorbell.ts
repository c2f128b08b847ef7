/**
 * The kinds of doorbell: an eventfd that the device's process waits on, and a register in a BAR, of 16 or 32 bits. Each can
 * be described in plain data, so that another thread of the process can open it.
 */
import { closeFile, duplicateFile, signalEventfd } from '../../libc/index.js';
import type { Doorbell, DoorbellShare } from '../transport.js';

/** vhost-user: the kick eventfd. Its number is valid on all threads of the process while it is open. */
export class EventfdDoorbell implements Doorbell {
  constructor(private readonly fd: number) {}

  ring(): void {
    signalEventfd(this.fd);
  }

  share(): DoorbellShare {
    return { kind: 'eventfd', fd: this.fd };
  }
}

/** virtio 1.2, 4.1.5.2: the queue's index is stored, as 16 bits, at an address of the queue's own. */
export class RegisterDoorbell implements Doorbell {
  constructor(
    private readonly u16: Uint16Array,
    private readonly register: number,
    private readonly value: number,
  ) {}

  ring(): void {
    // What was published before is visible before this store: publishing ends with an atomic store and an atomic load.
    this.u16[this.register] = this.value;
  }

  share(): DoorbellShare {
    const { u16, register, value } = this;
    return { kind: 'register', u16, register, value };
  }
}

/**
 * virtio 1.2, 4.1.5.2, with VIRTIO_F_NOTIFICATION_DATA: 32 bits are stored, the queue's index and where the driver goes
 * on. So the device need not read the ring's index from memory.
 */
export class DataRegisterDoorbell implements Doorbell {
  constructor(
    private readonly u32: Uint32Array,
    private readonly register: number,
    private readonly value: number,
  ) {}

  ring(next: number): void {
    // As in RegisterDoorbell: what was published before is visible before this store.
    this.u32[this.register] = (next << 16) | this.value;
  }

  share(): DoorbellShare {
    const { u32, register, value } = this;
    return { kind: 'data-register', u32, register, value };
  }
}

/** Opens the described doorbell on the calling thread. */
export function openDoorbell(share: DoorbellShare): Doorbell {
  if (share.kind === 'eventfd') return new EventfdDoorbell(share.fd);
  if (share.kind === 'data-register') return new DataRegisterDoorbell(share.u32, share.register, share.value);
  return new RegisterDoorbell(share.u16, share.register, share.value);
}

/** A doorbell for a borrower that may hold on to it longer than the transport does. */
export interface LentDoorbell {
  readonly share: DoorbellShare;
  /** Call it when the borrower will not ring any more. */
  release(): void;
}

/**
 * Describes a doorbell that stays valid until it is released. A register stays harmless memory while anything refers to
 * it. The number of a closed file descriptor could become that of another file, so the file descriptor is duplicated.
 */
export function lendDoorbell(share: DoorbellShare): LentDoorbell {
  if (share.kind !== 'eventfd') return { share, release: () => {} };
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
