/**
 * What a driver in user space needs from a PCI function. VFIO provides it (drivers/vfio); tests provide a model. The
 * transport above needs to know nothing about groups and ioctls.
 */
import type { MemoryViews, PacketMemory } from '../memory/index.js';
import type { ConfigSpace } from './config-space.js';

export interface PciFunction {
  /** The address, for messages. */
  readonly name: string;
  readonly config: ConfigSpace;

  /** Whether these bytes of a BAR can be mapped: the BAR is memory, is large enough, and the kernel allows it. */
  canMap(bar: number, offset: number, length: number): boolean;
  /**
   * Maps the BAR under typed arrays; index 0 is its first byte. Registers are read and written by plain loads and
   * stores of a view that is as wide as the register. Valid until {@link close}; afterwards the views are harmless
   * zeros.
   */
  mapBar(bar: number): MemoryViews;

  /** Number of MSI-X vectors of the function; 0 when it cannot interrupt that way. */
  readonly interruptVectors: number;
  /** Signals eventfd i at each interrupt of vector i. Without eventfds, interrupts are off. */
  setInterrupts(eventfds: readonly number[]): void;

  /**
   * Makes a memory reachable by DMA and locks it. Returns the I/O virtual address of its first byte, or null when no
   * IOMMU translates: then the function uses guest-physical addresses.
   */
  mapMemory(memory: PacketMemory): number | null;

  readonly canReset: boolean;
  /** Resets the whole function. Its configuration space is then as after power-up, but BARs stay where they are. */
  reset(): void;

  /** Gives everything back. From then on the function can do no DMA. */
  close(): void;
}
