/** PortInc and QueueInc: packets from a port into the pipeline (BESS: port_inc.cc, queue_inc.cc). */
import { MAX_BURST } from '../../drivers/virtio/packet-burst.js';
import type { PacketEndpoint, Port, PortCounters } from '../ports/port.js';
import { Batch, emptyBurst } from './batch.js';
import { Module, type Task } from './module.js';
import { checkBurst } from './source.js';

/** One queue of a port, polled. */
class QueueTask implements Task {
  private readonly batch = new Batch();
  private readonly burst = emptyBurst();
  private readonly counters: PortCounters;

  constructor(
    private readonly module: PortInput,
    readonly source: PacketEndpoint,
    port: Port,
  ) {
    this.counters = port.inc;
  }

  run(): number {
    const count = this.source.take(this.burst, this.module.packetsAtOnce);
    if (count === 0) return 0;
    this.batch.takeAll(this.burst);
    this.counters.packets += count;
    this.counters.bytes += this.batch.bytes;
    this.module.forward(this.batch);
    // Whoever was to get a packet has its copy by now: the sender may have its buffers back.
    this.source.complete();
    return count;
  }
}

abstract class PortInput extends Module {
  override readonly inputGates = 0;
  /** Packets that a task takes at once. */
  packetsAtOnce = MAX_BURST;

  constructor(
    name: string,
    protected readonly port: Port,
    protected readonly queues: readonly number[],
  ) {
    super(name);
    port.acquire(this, 'inc', queues);
    for (const queue of queues) this.tasks.push(new QueueTask(this, port.device.endpoints[queue], port));
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
