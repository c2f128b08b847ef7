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

/** Whether one handle keeps the process alive: while it is active, unless the program has unreferenced it. */
export class HandleRef {
  private isActive = false;
  private isCounted = false;

  /** @param isReferenced whether the program has not unreferenced it */
  constructor(
    private readonly refs: Pick<Refs, 'ref' | 'unref'>,
    private isReferenced = true,
  ) {}

  hasRef(): boolean {
    return this.isReferenced;
  }

  ref(): void {
    this.isReferenced = true;
    this.count();
  }

  unref(): void {
    this.isReferenced = false;
    this.count();
  }

  /** The handle has begun, or ended, to do something that is worth waiting for. */
  setActive(isActive: boolean): void {
    this.isActive = isActive;
    this.count();
  }

  private count(): void {
    const counts = this.isReferenced && this.isActive;
    if (counts === this.isCounted) return;
    this.isCounted = counts;
    if (counts) this.refs.ref();
    else this.refs.unref();
  }
}
