/**
 * Brings a lost device back: tries again at growing intervals until it succeeds or is stopped. An attempt costs little
 * (a connect(2) that fails), and a restarted backend should have its drivers back well within a second.
 */

const FIRST_MS = 50;
const MOST_MS = 250;

export class Restarter {
  private timer: NodeJS.Timeout | null = null;
  private underWay: Promise<void> = Promise.resolve();
  private stopped = false;
  private keepsAlive = true;

  /**
   * @param attempt makes one attempt; rejects with the reason when it failed
   * @param onBack called when an attempt has succeeded
   * @param onFailure called when an attempt has failed for another reason than the one before
   */
  constructor(
    private readonly attempt: () => Promise<void>,
    private readonly onBack: () => void,
    private readonly onFailure: (reason: string) => void,
  ) {}

  /** Begins to try. `reason` is why the device was lost. */
  begin(reason: string): void {
    this.schedule(FIRST_MS, reason);
  }

  /** Says whether the wait for the next attempt keeps the event loop alive. It does at first. */
  keepAlive(on: boolean): void {
    this.keepsAlive = on;
    if (on) this.timer?.ref();
    else this.timer?.unref();
  }

  /** Makes no further attempts and reports nothing any more. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  /** Resolves when no attempt is under way. */
  async settled(): Promise<void> {
    await this.underWay;
  }

  private schedule(delay: number, lastReason: string): void {
    this.timer = setTimeout(() => {
      this.underWay = this.tryOnce(delay, lastReason);
    }, delay);
    if (!this.keepsAlive) this.timer.unref();
  }

  private async tryOnce(delay: number, lastReason: string): Promise<void> {
    let failure: string | null = null;
    try {
      await this.attempt();
    } catch (error) {
      failure = (error as Error).message;
    }
    if (this.stopped) return;
    if (failure === null) {
      this.onBack();
      return;
    }
    this.schedule(Math.min(delay * 2, MOST_MS), failure);
    // A new reason is news; the same reason again is not.
    if (failure !== lastReason) this.onFailure(failure);
  }
}
