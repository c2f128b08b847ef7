/**
 * Keeps the process (the worker thread) alive while something counts: what libuv does for its handles. The layer below
 * never keeps it alive.
 */

/** The longest time that setInterval takes. */
const FOREVER_MS = 2 ** 31 - 1;

export class Refs {
  /** Called when nothing keeps the process alive any more. */
  onIdle: () => void = () => {};
  private count = 0;
  private readonly keeper = setInterval(() => {}, FOREVER_MS);

  constructor() {
    this.keeper.unref();
  }

  /** Whether something keeps the process alive. */
  get isReferenced(): boolean {
    return this.count > 0;
  }

  ref(): void {
    if (this.count++ === 0) this.keeper.ref();
  }

  unref(): void {
    if (--this.count > 0) return;
    this.keeper.unref();
    this.onIdle();
  }

  close(): void {
    clearInterval(this.keeper);
  }
}
