/** The wait for the first lease of a core that polls the vNIC itself. With `1kb` and `2kb` the Rx worker acquires it. */
import type { StopSignal } from '../../../drivers/stop-signal.js';
import { AbortedError, LeaseError } from '../../errors.js';
import type { SingleCore } from '../single-core.js';
import type { Lease } from './lease.js';

/** The error of a port that gets no address. @param reason what the client has met */
export function noLease(device: string, reason: string): LeaseError {
  return new LeaseError(`${device}: no address by DHCP within 30 s: ${reason}; is there a DHCP server on this link?`);
}

/** A core that acquires a lease, and what can end the wait without one. */
export class Acquisition {
  private failure: LeaseError | null = null;
  private core: SingleCore | null = null;

  /** @param device its name, for messages */
  constructor(private readonly device: string) {}

  /** For {@link LinkOptions.dhcp}: the client has given up. */
  readonly onFailure = (reason: string): void => {
    this.failure = noLease(this.device, reason);
    // Not now: the core is in the middle of a poll.
    setImmediate(() => this.core?.wake());
  };

  /**
   * Drives the core until it has a lease.
   * @throws (rejects) LeaseError when no server gives one; AbortedError when the signal aborts before
   */
  async run(core: SingleCore, signal: StopSignal | undefined): Promise<Lease> {
    this.core = core;
    core.acquire();
    while (core.lease === null) {
      if (this.failure !== null) throw this.failure;
      if (signal?.aborted === true) throw new AbortedError(`${this.device}: stopped before it had an address`);
      await core.waitForPackets({ signal });
    }
    return core.lease;
  }
}
