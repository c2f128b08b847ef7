/**
 * What becomes of connections when the device is gone: its link, or the backend of a vhost-user socket. A switch that
 * starts again at once costs nothing, because TCP sends again what was lost. After {@link GONE_MS} the connections are
 * reset. Listeners stay.
 */
import type { Core } from '../link/core.js';

/** How long a device may be gone before its connections are reset, in ms. */
const GONE_MS = 2000;

export class LinkWatch {
  private timer: NodeJS.Timeout | null = null;
  private isGone = false;

  /** @param onGone called when the device has been gone for {@link GONE_MS} */
  constructor(
    private readonly core: Pick<Core, 'isLinkUp'>,
    private readonly onGone: () => void,
  ) {}

  /** To be called after each poll in vain, and before and after each sleep. */
  look(): void {
    if (this.core.isLinkUp) {
      this.isGone = false;
      this.close();
      return;
    }
    if (this.isGone) return;
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.isGone = !this.core.isLinkUp;
      if (this.isGone) this.onGone();
    }, GONE_MS).unref();
  }

  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
