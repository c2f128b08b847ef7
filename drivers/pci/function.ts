/**
 * What a driver in user space needs of a PCI function. VFIO gives it (drivers/vfio); tests bring a model. The transport
 * above knows nothing of groups and ioctls.
 */
import type { MemoryViews, PacketMemory } from '../memory/index.js';
import type { ConfigSpace } from './config-space.js';

export interface PciFunction {
  /** For messages: the address. */
  readonly name: string;
  readonly config: ConfigSpace;

  /** Whether these bytes of a BAR can be mapped: it is memory, large enough, and the kernel lets us. */
  canMap(bar: number, offset: number, length: number): boolean;
  /**
   * The BAR under typed arrays; index 0 is its first byte. Registers are read and written by plain loads and stores of a
   * view as wide as the register. Valid until {@link close}, harmless zeros from then on.
   */
  mapBar(bar: number): MemoryViews;

  /** MSI-X vectors that the function has; 0 when it cannot interrupt that way. */
  readonly interruptVectors: number;
  /** Signals eventfd i at each interrupt of vector i; no eventfds: interrupts off. */
  setInterrupts(eventfds: readonly number[]): void;

  /**
   * Makes a memory reachable by DMA and keeps it where it is. Returns the I/O virtual address of its first byte; null
   * where no IOMMU translates, and the function sees guest-physical addresses.
   */
  mapMemory(memory: PacketMemory): number | null;

  readonly canReset: boolean;
  /** Resets the whole function; its configuration space is as after power-up then, BARs stay where they are. */
  reset(): void;

  /** Gives everything back; the function can do no DMA from then on. */
  close(): void;
}
