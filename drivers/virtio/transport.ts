/**
 * The way to a virtio device, whatever carries it: registers of a PCI function, messages of a vhost-user socket. The
 * queue layouts and the net device know this interface alone (virtio 1.2, 4: "transport options").
 *
 * Control-plane calls are asynchronous, because a vhost-user backend answers by message; the data path uses only
 * {@link Doorbell}.
 */
import type { AddressSpace, PacketMemory } from '../memory/index.js';
import type { DoorbellShare } from './driver/device-doorbell.js';

/** Tells the device that a queue has new buffers. Called at most once a burst, and only when the device asks for it. */
export interface Doorbell {
  ring(): void;
  /** What another thread opens the same doorbell with; valid until the transport is closed. */
  share(): DoorbellShare;
}

/** Where a queue's three parts lie in the packet memory, in bytes from its start (virtio 1.2, 2.6). */
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

/** What a transport reports on its own account. */
export interface TransportEvents {
  /** The device asked for attention on this queue (an interrupt, a call eventfd). */
  onInterrupt(queue: number): void;
  /** The device's configuration changed, or it needs a reset. */
  onConfigChange(): void;
  /** The device is gone (a backend hung up). Only {@link VirtioTransport.connect} makes sense from then on. */
  onLost(reason: string): void;
}

export interface VirtioTransport {
  /** As the user named the device; begins every error. */
  readonly name: string;
  /** True when a lost device may come back, and connect() may be tried again. */
  readonly canReconnect: boolean;
  /** True when the device's configuration space can be read, so that MAC, STATUS and MTU may be negotiated. */
  readonly hasConfig: boolean;
  /** True when somebody behind the transport serves the control queue (virtio 1.2, 5.1.6.5) of a device that has one. */
  readonly hasControlQueue: boolean;
  /** True when the device cannot interrupt, so that its queues must be polled. Known after {@link setupQueue}. */
  readonly pollOnly: boolean;
  /** Feature bits that are the transport's own to accept, when they are offered (virtio 1.2, 6.1). */
  readonly transportFeatures: bigint;

  /** Reaches the device. Rejects with one clear line when it is not there. */
  connect(memory: PacketMemory, events: TransportEvents): Promise<void>;
  /** How the device addresses the packet memory. Known after {@link setDriverFeatures}. */
  addressSpace(): AddressSpace;

  /** Writes 0 to the status and waits until it reads 0 (virtio 1.2, 2.4). */
  reset(): Promise<void>;
  getStatus(): Promise<number>;
  setStatus(status: number): Promise<void>;
  getDeviceFeatures(): Promise<bigint>;
  setDriverFeatures(features: bigint): Promise<void>;
  /** Bytes of the device-specific configuration, consistent by its generation (virtio 1.2, 2.5.1). */
  readConfig(offset: number, length: number): Promise<Uint8Array>;

  /** How many entries queue `queue` may have at most; 0 where there is no such queue. */
  maxQueueSize(queue: number): Promise<number>;
  /**
   * Tells the device where the queue lies and enables it; resolves to its doorbell.
   * @param wantsInterrupts whether interrupts of this queue will ever be asked for
   */
  setupQueue(queue: number, layout: QueueLayout, wantsInterrupts: boolean): Promise<Doorbell>;

  /** Leaves the device: resets it where that is possible, closes descriptors. Never rejects. */
  close(): Promise<void>;
}
