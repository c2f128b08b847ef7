/** PortInc and QueueInc: take packets from a port into the pipeline (BESS: port_inc.cc, queue_inc.cc). */
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { MAX_BURST, type PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import type { Port } from '../ports/port.js';
import { Batch, emptyBurst } from './batch.js';
import { Module, type Task } from './module.js';
import { checkBurst } from './source.js';

/** Polls one queue of a port. */
class QueueTask implements Task {
  private readonly batch = new Batch();
  private readonly burst = emptyBurst();
  /** Called once with the next burst; null: not wanted. */
  inspect: ((burst: PacketBurst) => void) | null = null;

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
    const inspect = this.inspect;
    if (inspect !== null) {
      this.inspect = null;
      inspect(this.burst);
    }
    const { capture } = this.port;
    if (capture.isOn) {
      capture.source = this.port.number;
      capture.came(this.port, this.burst);
    }
    this.module.forward(this.batch);
    // Every receiver has its copies now, so the sender gets its buffers back.
    this.source.complete();
    return count;
  }
}

/** The common part of PortInc and QueueInc. */
export abstract class PortInput extends Module {
  override readonly inputGates = 0;
  private readonly queueTasks: QueueTask[] = [];
  /** The most packets that a task takes at once. */
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

  /** Calls `inspect` once for each queue, with the next burst of the queue before it is forwarded. */
  inspectNextBurst(inspect: (burst: PacketBurst) => void): void {
    for (const task of this.queueTasks) task.inspect = inspect;
  }

  /** Sets how many packets a task takes at once: 0 to 32, otherwise EINVAL. */
  setBurst(packets: number): void {
    this.packetsAtOnce = checkBurst(packets);
  }

  /** Passes a batch of a task to gate 0. */
  forward(batch: Batch): void {
    this.emit(0, batch);
  }

  override close(): void {
    this.port.release(this, 'inc');
  }
}

/** Takes packets from all incoming queues of a port. */
export class PortInc extends PortInput {
  override readonly className = 'PortInc';

  constructor(name: string, port: Port) {
    super(name, port, port.incQueues());
  }

  override describe(): string {
    return `${this.port.name}/${this.port.driver}`;
  }
}

/** Takes packets from one incoming queue of a port. */
export class QueueInc extends PortInput {
  override readonly className = 'QueueInc';

  constructor(name: string, port: Port, queue: number) {
    super(name, port, [queue]);
  }

  override describe(): string {
    return `${this.port.name}:${this.queues[0]}/${this.port.driver}`;
  }
}
