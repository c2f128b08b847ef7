/**
 * The way to a virtio device, whatever carries it: registers of a PCI function, or messages of a vhost-user socket
 * (virtio 1.2, 4: "transport options"). Queues and net device use only this interface.
 *
 * Control-plane calls are asynchronous, because a vhost-user backend answers by message. The data path uses only
 * {@link Doorbell}.
 */
import type { AddressSpace, PacketMemory } from '../memory/index.js';

/** Tells the device that a queue has new buffers. Rung at most once per burst, and only when the device asks for it. */
export interface Doorbell {
  /**
   * @param next where the driver makes its next buffer available, in 16 bits: the available index of a split ring; of a
   *   packed ring the place, with the wrap counter as bit 15 (virtio 1.2, 2.9). Only a device with NOTIFICATION_DATA is
   *   told
   */
  ring(next: number): void;
  /** Describes the doorbell for another thread, which opens it there. Valid until the transport is closed. */
  share(): DoorbellShare;
}

/** What another thread needs to ring a doorbell; structured-cloneable. */
export type DoorbellShare =
  | { readonly kind: 'eventfd'; readonly fd: number }
  /** `value` is stored at index `register` of a view over shared memory. */
  | { readonly kind: 'register'; readonly u16: Uint16Array; readonly register: number; readonly value: number }
  /** The same in 32 bits: `value` in the lower half, and where the driver goes on in the upper half. */
  | { readonly kind: 'data-register'; readonly u32: Uint32Array; readonly register: number; readonly value: number };

/** Where the three parts of a queue lie in the packet memory, in bytes from its start (virtio 1.2, 2.6). */
export interface QueueLayout {
  /** Entries; a power of two for a split ring. */
  readonly size: number;
  /** Descriptor area. */
  readonly descriptors: number;
  /** Driver area: the available ring. */
  readonly driver: number;
  /** Device area: the used ring. */
  readonly device: number;
}

/** What a transport reports. */
export interface TransportEvents {
  /** The device asks for attention to this queue (an interrupt, or a signal on the call eventfd). */
  onInterrupt(queue: number): void;
  /** The device's configuration changed, or it needs a reset. */
  onConfigChange(): void;
  /** The device is gone (its backend hung up). From now on only {@link VirtioTransport.connect} makes sense. */
  onLost(reason: string): void;
}

export interface VirtioTransport {
  /** The device as the user named it. Every error begins with it. */
  readonly name: string;
  /** Whether a lost device may come back, so that connect() may be tried again. */
  readonly canReconnect: boolean;
  /** Whether the device's configuration space can be read, so that MAC, STATUS and MTU may be negotiated. */
  readonly hasConfig: boolean;
  /** Whether the control queue (virtio 1.2, 5.1.6.5) of a device that has one is served behind this transport. */
  readonly hasControlQueue: boolean;
  /** Whether the device cannot interrupt, so that its queues must be polled. Known after {@link setupQueue}. */
  readonly pollOnly: boolean;
  /** Feature bits that the transport accepts by itself when they are offered (virtio 1.2, 6.1). */
  readonly transportFeatures: bigint;

  /** Connects to the device. Rejects with one clear line when it is not there. */
  connect(memory: PacketMemory, events: TransportEvents): Promise<void>;
  /** How the device addresses the packet memory. Known after {@link setDriverFeatures}. */
  addressSpace(): AddressSpace;

  /** Writes 0 to the status and waits until it reads 0 (virtio 1.2, 2.4). */
  reset(): Promise<void>;
  getStatus(): Promise<number>;
  setStatus(status: number): Promise<void>;
  getDeviceFeatures(): Promise<bigint>;
  setDriverFeatures(features: bigint): Promise<void>;
  /** Reads bytes of the device-specific configuration, consistent by its generation (virtio 1.2, 2.5.1). */
  readConfig(offset: number, length: number): Promise<Uint8Array>;

  /** The largest number of entries of queue `queue`; 0 when there is no such queue. */
  maxQueueSize(queue: number): Promise<number>;
  /**
   * Tells the device where the queue lies and enables it; resolves to its doorbell.
   * @param wantsInterrupts whether interrupts of this queue will ever be asked for
   */
  setupQueue(queue: number, layout: QueueLayout, wantsInterrupts: boolean): Promise<Doorbell>;

  /** As {@link NetDevice.keepAlive}; also holds for a later connection. */
  keepAlive?(on: boolean): void;

  /** Leaves the device: resets it if possible, and closes the file descriptors. Never rejects. */
  close(): Promise<void>;
}
