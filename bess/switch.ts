/** The embedded switch: ports, modules and one worker, as a `.bess` script has set them up. */
import { existsSync } from 'node:fs';
import { pinPollingThread } from '../drivers/libc/index.js';
import { LineLimiter } from '../drivers/log/line-limiter.js';
import type { IdlePolicy } from '../drivers/poll-loop.js';
import { BessError } from './errors.js';
import { ModuleGraph } from './modules/graph.js';
import { SourceWatch } from './modules/source-watch.js';
import { type DeviceFactory, PortTable } from './ports/pmd-port.js';
import type { Port } from './ports/port.js';
import { PortWatch } from './ports/port-watch.js';
import { type SwitchStats, snapshot } from './stats.js';
import { Worker } from './worker.js';

export interface SwitchOptions {
  /** Opens the devices behind the ports. */
  readonly devices: DeviceFactory;
  /** What the worker does without packets; `adaptive` where nothing is said. */
  readonly idle?: IdlePolicy;
  /** Gets lines for the user: peers that come and go, options that are ignored. */
  readonly log?: (line: string) => void;
}

/** How often the ports are looked at, in ms. */
const LOOK_MS = 1000;

export class Switch {
  readonly ports: PortTable;
  readonly graph = new ModuleGraph();
  /** Called once, when the worker has stopped because of an error; the ports are still there then. */
  onError: ((error: unknown) => void) | null = null;
  private readonly log: (line: string) => void;
  private readonly idle: IdlePolicy;
  /** Where the script wants the worker; null: on any core. */
  private core: number | null = null;
  private hasWorker = false;
  private worker: Worker | null = null;
  private startedAt = 0;
  private looking: NodeJS.Timeout | null = null;
  /** Each port has its own: its peer decides how much there is to tell. */
  private readonly limiters: LineLimiter[] = [];

  constructor(options: SwitchOptions) {
    this.log = options.log ?? (() => undefined);
    this.idle = options.idle ?? 'adaptive';
    this.ports = new PortTable(options.devices, this.log);
  }

  /** Says on which core the worker runs. EEXIST and EINVAL as in BESS; a second worker is EINVAL too. */
  addWorker(id: number, core: number): void {
    if (this.hasWorker) {
      if (id === 0) throw new BessError('EEXIST', 'worker:0 is already active');
      throw new BessError('EINVAL', `worker:${id}: this switch runs one worker, and worker:0 is it`);
    }
    if (id !== 0) throw new BessError('EINVAL', `worker:${id}: this switch runs one worker, with the number 0`);
    if (!(Number.isInteger(core) && core >= 0 && existsSync(`/sys/devices/system/cpu/cpu${core}`))) {
      throw new BessError('EINVAL', `Invalid core ${core}: this machine has no such core`);
    }
    this.hasWorker = true;
    this.core = core;
  }

  /** Begins to forward. Throws where the modules form a loop, or where the process may not use the worker's core. */
  async start(): Promise<void> {
    this.graph.checkLoops();
    const ports = this.ports.all;
    this.worker = new Worker(this.graph.tasks, this.idle, (error) => this.onError?.(error));
    const { wake } = this.worker;
    for (const { name, device } of ports) {
      device.onChange = wake;
      const limiter = new LineLimiter((line) => this.log(`port ${name}: ${line}`));
      this.limiters.push(limiter);
      device.onNotice = (line, kind) => limiter.write(kind, line);
    }
    this.startedAt = performance.now();
    if (this.core !== null) await pinPollingThread(this.core);
    this.worker.start();
    this.watch(ports);
  }

  /** Looks at the ports now and then: at what keeps one from working, and for stations that the script does not know. */
  private watch(ports: readonly Port[]): void {
    const health = new PortWatch(ports, this.log);
    const sources = new SourceWatch(this.graph.all, this.log);
    const look = (): void => {
      health.look();
      sources.lookAtNext();
      for (const limiter of this.limiters) limiter.tick();
    };
    look();
    this.looking = setInterval(look, LOOK_MS);
  }

  /** Stops forwarding and closes all ports; their sockets are gone then. Also right after a failed start. */
  async stop(): Promise<void> {
    this.worker?.stop();
    if (this.looking !== null) clearInterval(this.looking);
    for (const { device } of this.ports.all) {
      device.onChange = null;
      device.onNotice = null;
    }
    for (const limiter of this.limiters.splice(0)) limiter.close();
    this.graph.close();
    await this.ports.close();
  }

  stats(): SwitchStats {
    const uptime = this.worker === null ? 0 : (performance.now() - this.startedAt) / 1000;
    return snapshot(this.ports.all, this.graph, uptime);
  }
}
