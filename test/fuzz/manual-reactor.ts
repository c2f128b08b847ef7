/** Stands in for a reactor: the target says when a descriptor is ready. */
import type { DescriptorGuard } from './descriptor-guard.js';

export class ManualReactor {
  readonly handlers = new Map<number, () => void>();

  constructor(private readonly guard: DescriptorGuard) {}

  watch(fd: number, _events: number, handler: () => void): void {
    this.guard.expectEventfd(fd, 'watch');
    this.handlers.set(fd, handler);
  }

  unwatch(fd: number): void {
    this.handlers.delete(fd);
  }

  /** Tells the one that watches `fd`. */
  ready(fd: number): void {
    this.handlers.get(fd)?.();
  }

  close(): void {
    this.handlers.clear();
  }
}
