/** The embedded switch: the ports, modules and worker that a `.bess` script sets up. */
import { existsSync } from 'node:fs';
import { pinPollingThread } from '../drivers/libc/index.js';
import type { EventSink, LogEvent } from '../drivers/log/events.js';
import { LineLimiter, type Suppressed } from '../drivers/log/line-limiter.js';
import type { IdlePolicy } from '../drivers/poll-loop.js';
import { BessError } from './errors.js';
import { ModuleGraph } from './modules/graph.js';
import { Metadata } from './modules/metadata/attribute.js';
import { SourceWatch } from './modules/source-watch.js';
import { HeaderMemory } from './modules/tunnel/header-memory.js';
import { type DeviceFactory, PortTable } from './ports/pmd-port.js';
import type { Port } from './ports/port.js';
import { PortWatch } from './ports/port-watch.js';
import { type SwitchStats, snapshot } from './stats.js';
import { SwitchCapture } from './switch-capture.js';
import { Worker } from './worker.js';

/** Options of {@link Switch}. */
export interface SwitchOptions {
  /** Opens the devices behind the ports. */
  readonly devices: DeviceFactory;
  /** What the worker does without packets; `adaptive` by default. */
  readonly idle?: IdlePolicy;
  /** Called with each line for the user and its event, such as that a peer connected, or that an option is ignored. */
  readonly log?: EventSink;
}

/** Time between two checks of the ports, in ms. */
const CHECK_MS = 1000;

export class Switch {
  readonly ports: PortTable;
  readonly graph = new ModuleGraph();
  /** What modules attach to packets, and where they write headers. */
  readonly metadata = new Metadata();
  readonly headers: HeaderMemory;
  /** Where captures see the packets. */
  readonly capture = new SwitchCapture();
  /** Called once if an error stops the worker. The ports are still open then. */
  onError: ((error: unknown) => void) | null = null;
  private readonly log: EventSink;
  private readonly idle: IdlePolicy;
  /** The core that the script chose for the worker; null: any core. */
  private core: number | null = null;
  private hasWorker = false;
  private worker: Worker | null = null;
  private startedAt = 0;
  private checks: NodeJS.Timeout | null = null;
  /** One limiter per port, because a peer can cause any number of lines. */
  private readonly limiters: LineLimiter[] = [];

  constructor(options: SwitchOptions) {
    this.log = options.log ?? (() => undefined);
    this.idle = options.idle ?? 'adaptive';
    this.headers = new HeaderMemory(options.devices.windows ?? null);
    this.ports = new PortTable(options.devices, (line) => this.log(line, { event: 'warning' }));
  }

  /** Chooses the core of the worker. Throws EEXIST and EINVAL as BESS does, and EINVAL for a second worker. */
  addWorker(id: number, core: number): void {
    if (this.hasWorker) {
      if (id === 0) throw new BessError('EEXIST', 'worker:0 is already active');
      throw new BessError('EINVAL', `worker:${id}: this switch runs one worker, and it has worker:0 already`);
    }
    if (id !== 0) throw new BessError('EINVAL', `worker:${id}: this switch runs one worker, with the number 0`);
    if (!(Number.isInteger(core) && core >= 0 && existsSync(`/sys/devices/system/cpu/cpu${core}`))) {
      throw new BessError('EINVAL', `Invalid core ${core}: this machine has no such core`);
    }
    this.hasWorker = true;
    this.core = core;
  }

  /** Starts to forward. Rejects if the modules cannot work together, or if the process may not use the worker's core. */
  async start(): Promise<void> {
    this.graph.check();
    const ports = this.ports.all;
    this.capture.attach(ports, this.graph.all);
    this.worker = new Worker(this.graph.tasks, this.idle, (error) => this.onError?.(error));
    const { wake } = this.worker;
    for (const { name, device } of ports) {
      device.onChange = wake;
      const limiter = new LineLimiter((line, suppressed) => {
        this.log(`port ${name}: ${line}`, { event: 'suppressed', port: name, ...(suppressed as Suppressed) });
      });
      this.limiters.push(limiter);
      device.onNotice = (line, kind) => {
        if (limiter.isDue(kind)) this.log(`port ${name}: ${line}`, noticeOf(name, kind, line));
      };
    }
    this.startedAt = performance.now();
    if (this.core !== null) await pinPollingThread(this.core);
    this.worker.start();
    this.watch(ports);
  }

  /** Checks once per second which ports have problems, and which stations are in no table. */
  private watch(ports: readonly Port[]): void {
    const health = new PortWatch(ports, this.log);
    const sources = new SourceWatch(this.graph.all, this.log);
    const check = (): void => {
      health.check();
      sources.inspectNextBursts();
      for (const limiter of this.limiters) limiter.tick();
    };
    check();
    this.checks = setInterval(check, CHECK_MS);
  }

  /** Stops forwarding, closes all ports and removes their sockets. Call it also after a failed start. */
  async stop(): Promise<void> {
    this.worker?.stop();
    if (this.checks !== null) clearInterval(this.checks);
    for (const { device } of this.ports.all) {
      device.onChange = null;
      device.onNotice = null;
    }
    for (const limiter of this.limiters.splice(0)) limiter.close();
    this.graph.close();
    this.headers.close();
    await this.ports.close();
  }

  /** Takes a snapshot of all counters. */
  stats(): SwitchStats {
    const uptime = this.worker === null ? 0 : (performance.now() - this.startedAt) / 1000;
    const { busyMs = 0, idleMs = 0, isAsleep = false } = this.worker ?? {};
    const worker = { busy: busyMs / 1000, idle: idleMs / 1000, asleep: isAsleep };
    return snapshot(this.ports.all, this.graph, worker, uptime);
  }
}

/** The event of what a device tells of a port. */
function noticeOf(port: string, kind: string, reason: string): LogEvent {
  const [, state] = /^link (up|down)$/.exec(kind) ?? [];
  if (state === undefined) return { event: 'port-notice', port, kind, reason };
  return { event: 'port', level: state === 'up' ? 'info' : 'warning', port, state, reason };
}
