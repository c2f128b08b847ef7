/** The two eventfds of a queue, as the frontend makes them: the kick to the backend, and the call from it. */
import { type Closer, closeFile, eventfd } from '../../libc/index.js';
import { EventfdDoorbell } from '../../virtio/driver/device-doorbell.js';
import type { Doorbell } from '../../virtio/transport.js';

export class QueueEventfds {
  readonly doorbell: Doorbell;

  private constructor(
    readonly kickFd: number,
    readonly callFd: number,
  ) {
    this.doorbell = new EventfdDoorbell(kickFd);
  }

  static create(): QueueEventfds {
    const kickFd = eventfd();
    try {
      return new QueueEventfds(kickFd, eventfd());
    } catch (error) {
      closeFile(kickFd);
      throw error;
    }
  }

  /** Closes both eventfds. The backend has them, too, and decides how long a close takes. */
  close(closer: Closer): void {
    closer.close(this.kickFd);
    closer.close(this.callFd);
  }
}
