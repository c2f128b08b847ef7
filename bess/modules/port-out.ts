/**
 * PortOut and QueueOut: send packets from the pipeline into a port (BESS: port_out.cc, queue_out.cc). The packets are
 * copied here. Packets that the peer does not take are dropped and counted, so a slow peer never delays the others.
 */
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import type { Port } from '../ports/port.js';
import type { Batch } from './batch.js';
import { MAX_GATES, Module } from './module.js';

/** The common part of PortOut and QueueOut. */
abstract class PortOutput extends Module {
  override readonly outputGates = 0;
  private readonly endpoint: PacketEndpoint;

  constructor(
    name: string,
    protected readonly port: Port,
    queues: readonly number[],
    protected readonly queue: number,
  ) {
    super(name);
    port.acquire(this, 'out', queues);
    this.endpoint = port.device.endpoints[queue];
  }

  override process(batch: Batch): void {
    const { burst, indices, count } = batch;
    const port = this.port;
    const taken = this.endpoint.put(burst, indices, count);
    port.outPackets += taken;
    port.outDropped += count - taken;
    if (batch.replicated) port.replicated += taken;
    if (port.capture.isOn) port.capture.left(port, batch, taken === count ? 0 : this.endpoint.refused);
  }

  override close(): void {
    this.port.release(this, 'out');
  }
}

/**
 * Owns all outgoing queues of a port. BESS uses one queue per worker. This switch has one worker, which uses queue 0.
 */
export class PortOut extends PortOutput {
  override readonly className = 'PortOut';
  override readonly inputGates = MAX_GATES;

  constructor(name: string, port: Port) {
    super(name, port, port.outQueues(), 0);
  }

  override describe(): string {
    return `${this.port.name}/${this.port.driver}`;
  }
}

/** Sends packets into one outgoing queue of a port. */
export class QueueOut extends PortOutput {
  override readonly className = 'QueueOut';

  constructor(name: string, port: Port, queue: number) {
    super(name, port, [queue], queue);
  }

  override describe(): string {
    return `${this.port.name}:${this.queue}/${this.port.driver}`;
  }
}
