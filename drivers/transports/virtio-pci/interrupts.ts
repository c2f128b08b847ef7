/**
 * MSI-X vectors as eventfds in Node's event loop (virtio 1.2, 4.1.5.1.2): one for configuration changes and one for
 * receiving, if the function has them.
 */
import { abi, closeFile, eventfd, Reactor } from '../../libc/index.js';
import type { PciFunction } from '../../pci/pci-function.js';

/** One vector for configuration changes and one for receiving. */
const VECTORS_WANTED = 2;

export class MsixVectors {
  private reactor: Reactor | null = null;
  private readonly fds: number[] = [];
  private readonly handlers: (() => void)[] = [];

  /** Turns MSI-X on, before vectors are mapped. {@link count} is 0 when the function has no MSI-X. */
  constructor(private readonly pci: PciFunction) {
    const count = Math.min(pci.interruptVectors, VECTORS_WANTED);
    if (count === 0) return;
    try {
      for (let vector = 0; vector < count; vector++) this.fds.push(eventfd());
      pci.setInterrupts(this.fds);
      this.reactor = new Reactor();
      for (const [vector, fd] of this.fds.entries()) {
        // Edge-triggered: each signal is one call, and the eventfd need not be read.
        this.reactor.watch(fd, (abi.EPOLLIN | abi.EPOLLET) >>> 0, () => this.handlers[vector]?.());
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get count(): number {
    return this.fds.length;
  }

  handle(vector: number, handler: () => void): void {
    this.handlers[vector] = handler;
  }

  /** Says whether waiting for interrupts keeps the event loop alive. */
  keepAlive(on: boolean): void {
    this.reactor?.keepAlive(on);
  }

  /** Turns MSI-X off. The function must have been reset before; otherwise it would fall back to its interrupt pin. */
  close(): void {
    this.reactor?.close();
    this.reactor = null;
    try {
      this.pci.setInterrupts([]);
    } catch {
      // Closing the function turns them off as well.
    }
    for (const fd of this.fds.splice(0)) closeFile(fd);
  }
}
