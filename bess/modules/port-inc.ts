/** PortInc and QueueInc: packets from a port into the pipeline (BESS: port_inc.cc, queue_inc.cc). */

import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { MAX_BURST, type PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import type { Port } from '../ports/port.js';
import { Batch, emptyBurst } from './batch.js';
import { Module, type Task } from './module.js';
import { checkBurst } from './source.js';

/** One queue of a port, polled. */
class QueueTask implements Task {
  private readonly batch = new Batch();
  private readonly burst = emptyBurst();
  /** Is shown the next burst, once. */
  look: ((burst: PacketBurst) => void) | null = null;

  constructor(
    private readonly module: PortInput,
    readonly source: PacketEndpoint,
    private readonly port: Port,
  ) {}

  run(): number {
    const count = this.source.take(this.burst, this.module.packetsAtOnce);
    if (count === 0) return 0;
    this.batch.takeAll(this.burst);
    this.port.incPackets += count;
    this.port.incBytes += this.batch.bytes;
    const look = this.look;
    if (look !== null) {
      this.look = null;
      look(this.burst);
    }
    this.module.forward(this.batch);
    // Whoever was to get a packet has its copy by now: the sender may have its buffers back.
    this.source.complete();
    return count;
  }
}

/** What PortInc and QueueInc have in common. */
export abstract class PortInput extends Module {
  override readonly inputGates = 0;
  private readonly queueTasks: QueueTask[] = [];
  /** Packets that a task takes at once. */
  packetsAtOnce = MAX_BURST;

  constructor(
    name: string,
    readonly port: Port,
    protected readonly queues: readonly number[],
  ) {
    super(name);
    port.acquire(this, 'inc', queues);
    for (const queue of queues) this.queueTasks.push(new QueueTask(this, port.device.endpoints[queue], port));
    this.tasks.push(...this.queueTasks);
  }

  /** Shows the next burst of each queue to `look`, once, before it is forwarded. */
  showNextBurst(look: (burst: PacketBurst) => void): void {
    for (const task of this.queueTasks) task.look = look;
  }

  setBurst(packets: number): void {
    this.packetsAtOnce = checkBurst(packets);
  }

  forward(batch: Batch): void {
    this.emit(0, batch);
  }

  override close(): void {
    this.port.release(this, 'inc');
  }
}

/** All incoming queues of a port. */
export class PortInc extends PortInput {
  override readonly className = 'PortInc';

  constructor(name: string, port: Port) {
    super(name, port, port.incQueues());
  }

  override describe(): string {
    return `${this.port.name}/${this.port.driver}`;
  }
}

/** One incoming queue of a port. */
export class QueueInc extends PortInput {
  override readonly className = 'QueueInc';

  constructor(name: string, port: Port, queue: number) {
    super(name, port, [queue]);
  }

  override describe(): string {
    return `${this.port.name}:${this.queues[0]}/${this.port.driver}`;
  }
}
