/**
 * The port of Case II: starts, watches and stops the threads of the 1 KB or 2 KB layout. It lives in the thread that
 * called `init`, through which no packet goes.
 *
 *     1 KB, four CPUs    core 0   core 1   core 2   RxTx
 *     2 KB, four CPUs    core 0   core 1   Tx       Rx
 */
import { type StopSignal, whenAborted } from '../../drivers/stop-signal.js';
import { TX_COUNTERS, type TxCounterName } from '../../drivers/virtio/driver/queue-counts.js';
import type { TxLoan } from '../../drivers/virtio/lending/tx-loan.js';
import { CounterBlock } from '../../rings/counters.js';
import type { SpscRing } from '../../rings/spsc-ring.js';
import { BasePort } from '../base-port.js';
import type { Mode, ResolvedConfig, WaitOptions } from '../config.js';
import { createCoreCounters, createL2Counters, L2, type L2Counters, type PortCounters, sumOf } from '../counters.js';
import { AbortedError, type CoreError, StateError, type TspmdError } from '../errors.js';
import { noLease } from '../link/dhcp/acquire.js';
import type { AddressChange, Lease } from '../link/dhcp/lease.js';
import { macBytes } from '../link/host.js';
import { type ConnectionList, type ConnectionQuery, mergeLists, type TcpFigures } from '../link/published.js';
import type { WarningSink } from '../link/warnings.js';
import { ThreadWatch, watchEvery } from '../link/watchdog.js';
import type { CoreStatus, MulticorePort, PortStatus, StackTotals } from '../port.js';
import { IndirectionTable } from '../rss/indirection-table.js';
import type { RssShare } from '../rss/rss.js';
import { ThreadCaptures } from './captures.js';
import type { CommonStart, CoreAnswers, CoreQuestion, OpenedDevice, Report, RxStart, StackStart } from './messages.js';
import { PortThread } from './port-thread.js';
import { planBuffers } from './shared/buffer-plan.js';
import { Interconnect } from './shared/interconnect.js';
import { watchedCore } from './watched-core.js';
import { workerStatuses } from './worker-status.js';

/** How long the thread with the device may take to give the lease back, in ms. */
const RELEASE_MS = 500;

/** How long a core may take to answer, in ms. */
const ANSWER_MS = 500;

/** The app of a port, which every core runs. */
export interface PortApp {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export class ThreadedPort extends BasePort implements MulticorePort {
  readonly mode: Exclude<Mode, 'single'>;
  readonly indirection: IndirectionTable;
  readonly captures = new ThreadCaptures(() => ({ rx: this.rx, tx: this.tx, cores: this.cores }));
  private readonly interconnect: Interconnect;
  private readonly rxCounters = createL2Counters();
  private readonly txCounters = createL2Counters();
  /** What each core counts itself, and what the Rx worker counts for each core. */
  private readonly coreCounters: L2Counters[];
  private readonly rxCountersOfCores: L2Counters[];
  private readonly rxQueues: SpscRing[];
  private readonly txQueues: SpscRing[];
  /** The threads of the cores. */
  private readonly cores: PortThread[] = [];
  private rx: PortThread | null = null;
  private tx: PortThread | null = null;
  private device: OpenedDevice | null = null;
  private lent: CounterBlock<TxCounterName> | null = null;
  private stopping: Promise<void> | null = null;
  /** Rejects with the error that ends the port, and never resolves. */
  private readonly failed: Promise<never>;
  /** Until the port is open, an error rejects {@link open}. */
  private isStarting = true;
  /** Whether {@link run} was called: an error then rejects it. Otherwise it is a warning. */
  private isRun = false;
  private fail: (error: Error) => void = () => {};
  /** To be called when the programs of all cores have ended. */
  private allOver: () => void = () => {};
  private readonly over = new Promise<void>((resolve) => {
    this.allOver = resolve;
  });
  private onOpened: (device: OpenedDevice, loan: TxLoan | null) => void = () => {};
  /** Each resolves a {@link applyAddress}. */
  private readonly onApplied: (() => void)[] = [];
  private readonly onReady = new Map<string, () => void>();
  private endWatch: () => void = () => {};

  private constructor(
    config: ResolvedConfig,
    private readonly app: PortApp,
    warn: WarningSink,
  ) {
    super(config, warn);
    const { stackCores } = config;
    this.mode = config.mode === '2kb' ? '2kb' : '1kb';
    this.interconnect = Interconnect.create(planBuffers(stackCores, config.buffers), config.mode === '2kb');
    this.indirection = IndirectionTable.create(stackCores);
    this.coreCounters = Array.from({ length: stackCores }, () => createL2Counters());
    this.rxCountersOfCores = createCoreCounters(stackCores);
    this.rxQueues = this.interconnect.rings('rxQueue');
    this.txQueues = this.interconnect.rings('txQueue');
    this.failed = new Promise((_, reject) => {
      this.fail = reject;
    });
    // run() rejects with it. If run() is not called, it must not be an unhandled rejection.
    this.failed.catch(() => {});
  }

  /**
   * Starts the threads and opens the device. When that fails, it rejects with one clear line and leaves nothing behind.
   */
  static async open(config: ResolvedConfig, app: PortApp, { warn, signal }: WaitOptions): Promise<ThreadedPort> {
    const port = new ThreadedPort(config, app, warn);
    try {
      await port.start(signal);
      return port;
    } catch (error) {
      await port.stop();
      throw error;
    }
  }

  get name(): string {
    return this.opened.name;
  }

  get offloads(): number {
    return this.interconnect.offloads;
  }

  get mac(): Uint8Array {
    return macBytes(this.interconnect.hostMemory().mac);
  }

  counters(): PortCounters {
    const all = sumOf([this.rxCounters, this.txCounters, ...this.rxCountersOfCores, ...this.coreCounters]);
    const device = CounterBlock.attach(this.opened.counters).snapshot();
    // The Rx worker publishes the counters of the Tx worker, too, but only when it is awake: the greater value is the
    // newer one.
    const lent = this.lent?.snapshot();
    for (const name of TX_COUNTERS) device[name] = Math.max(device[name], lent?.[name] ?? 0);
    // The buffers of a core that has failed were taken back.
    const held = this.cores.map(({ isAlive }, core) => (isAlive ? this.countedBy(core, L2.held_by_stack) : 0));
    return { ...all, held_by_stack: held.reduce((sum, own) => sum + own, 0), ...device };
  }

  status(): PortStatus {
    const cores = this.cores.map(({ title, isAlive }, index): CoreStatus => {
      const counters = sumOf([this.rxCountersOfCores[index], this.coreCounters[index]]);
      if (!isAlive) counters.held_by_stack = 0;
      const occupancy = ({ count, capacity }: SpscRing) => ({ count, capacity });
      const rings = { rx_queue: occupancy(this.rxQueues[index]), tx_queue: occupancy(this.txQueues[index]) };
      const { isAsleep } = this.interconnect.coreDoorbell(index);
      return { title, index, isAlive, isAsleep, counters, rings };
    });
    return { cores, workers: workerStatuses(this.interconnect, this.rx, this.tx, this.rxCounters, this.txCounters) };
  }

  async totals(): Promise<readonly (StackTotals | undefined)[]> {
    return (await this.ask({ what: 'totals' })).map((totals) => totals ?? undefined);
  }

  tcp(): Promise<readonly (TcpFigures | null)[]> {
    return this.ask({ what: 'tcp' });
  }

  protected async listConnections(query: ConnectionQuery): Promise<ConnectionList> {
    const lists = await this.ask({ what: 'connections', query });
    return mergeLists(
      lists.filter((list) => list !== null),
      query,
    );
  }

  private ask<Q extends CoreQuestion>(question: Q): Promise<(CoreAnswers[Q['what']] | null)[]> {
    return Promise.all(this.cores.map((core) => core.ask(question, ANSWER_MS)));
  }

  private countedBy(core: number, counter: number): number {
    return this.coreCounters[core].values[counter];
  }

  async run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]> {
    this.isRun = true;
    await Promise.race([this.failed, this.over, whenAborted(signal)]);
    await this.stop();
    for (const error of this.endErrors()) throw error;
    return this.cores.map(({ totals }) => totals);
  }

  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  protected get isStopped(): boolean {
    return this.stopping !== null;
  }

  protected async applyAddress(change: AddressChange): Promise<void> {
    const applied = new Promise<void>((resolve) => this.onApplied.push(resolve));
    this.rx?.order({ type: 'setAddress', change });
    await Promise.race([applied, this.failed]);
  }

  /** Stops the cores first, so that what they have sent still goes out; the device last. */
  private async shutDown(): Promise<void> {
    this.endWatch();
    await Promise.all(this.cores.map((core) => core.stop()));
    // While there is still a thread that sends.
    if (this.config.isDhcp) await this.rx?.obeyed({ type: 'release' }, ({ type }) => type === 'released', RELEASE_MS);
    await this.tx?.stop();
    await this.rx?.stop();
    // run() throws it.
    if (!this.isRun) for (const { message } of this.endErrors()) this.warn(message);
  }

  /** What went wrong with the threads after they were told to stop. */
  private endErrors(): readonly Error[] {
    return [...this.cores, this.tx, this.rx].flatMap((thread) => thread?.endError ?? []);
  }

  private get opened(): OpenedDevice {
    if (this.device === null) throw new StateError(`${this.config.device}: not open`);
    return this.device;
  }

  private async start(signal: StopSignal | undefined): Promise<void> {
    const { stackCores, mode } = this.config;
    // The last CPU is that of the thread with the device; with 2 KB, the last but one is that of the Tx worker.
    const hasTxWorker = mode === '2kb';
    const rss: RssShare = { ...this.config.rss, table: this.indirection.share() };
    const rxStart: RxStart = {
      ...this.common(hasTxWorker ? 'tspmd-rx' : 'tspmd-rxtx', stackCores + (hasTxWorker ? 1 : 0), this.rxCounters),
      coreCounters: this.rxCountersOfCores.map((block) => block.share()),
      txCounters: this.txCounters.share(),
      rss,
    };
    const opened = new Promise<TxLoan | null>((resolve) => {
      this.onOpened = (device, loan) => {
        this.device = device;
        resolve(loan);
      };
    });
    const leased = new Promise<Lease>((resolve) => {
      this.once('lease', (lease) => lease !== null && resolve(lease));
    });
    const aborted = whenAborted(signal).then((): never => {
      throw new AbortedError(`${this.config.device}: stopped before it was open`);
    });
    aborted.catch(() => {});
    // All threads start at the same time, because a thread takes longer to start than a device to open.
    this.rx = this.startThread(hasTxWorker ? 'Rx worker' : 'RxTx worker', 'rx-worker.js', rxStart);
    if (hasTxWorker) {
      this.tx = this.startThread('Tx worker', 'tx-worker.js', this.common('tspmd-tx', stackCores, this.txCounters));
    }
    const { name: app, options: appOptions } = this.app;
    for (let index = 0; index < stackCores; index++) {
      const common = this.common(`tspmd-core${index}`, index, this.coreCounters[index]);
      const start: StackStart = { ...common, index, rss, app, appOptions };
      this.cores.push(this.startThread(`core ${index}`, 'stack-worker.js', start, index));
    }
    const ready = [...this.cores, this.tx].map((thread) => thread && this.readyOf(thread.title));
    const loan = await this.orFailure(Promise.race([opened, aborted]));
    if (this.opened.notice !== '') this.warn(this.opened.notice);
    if (loan !== null) {
      this.lent = CounterBlock.attach(loan.counters);
      this.tx?.order({ type: 'lend', loan }, [loan.port]);
    }
    const lease = this.config.isDhcp ? await this.orFailure(Promise.race([leased, aborted])) : null;
    const device = { ...this.opened, mtu: Math.min(this.opened.mtu, lease?.mtu ?? this.opened.mtu) };
    for (const core of this.cores) core.order({ type: 'attach', device, lease });
    await this.orFailure(Promise.all(ready));
    this.isStarting = false;
    this.rx.order({ type: 'announce' });
    for (const core of this.cores) core.order({ type: 'start' });
    const watch = (thread: PortThread, core: number): ThreadWatch => {
      const doorbell = this.interconnect.coreDoorbell(core);
      const watched = watchedCore(thread, doorbell, this.rxQueues[core], this.coreCounters[core]);
      return new ThreadWatch(thread.title, watched, this.warn);
    };
    this.endWatch = watchEvery(this.cores.map(watch));
  }

  private common(name: string, place: number, counters: L2Counters): CommonStart {
    const { config, interconnect } = this;
    return { config, interconnect: interconnect.shared(), cpu: config.cores[place], name, counters: counters.share() };
  }

  private startThread(title: string, module: string, start: CommonStart, core?: number): PortThread {
    const onReport = (report: Report): void => this.reported(title, report);
    const onEnd = (error: TspmdError | null): void => this.ended(core ?? -1, error);
    return new PortThread({ title, core, module }, start, onReport, onEnd);
  }

  private readyOf(title: string): Promise<void> {
    return new Promise((resolve) => {
      this.onReady.set(title, resolve);
    });
  }

  /** Resolves as `started` does; rejects when a thread fails before. */
  private orFailure<T>(started: Promise<T>): Promise<T> {
    return Promise.race([this.failed, started]);
  }

  private reported(title: string, report: Report): void {
    if (report.type === 'opened') this.onOpened(report.device, report.loan);
    else if (report.type === 'ready') this.onReady.get(title)?.();
    else if (report.type === 'warning') this.warn(report.line);
    else if (report.type === 'address') this.readdressed(report.change);
    else if (report.type === 'noLease') this.fail(noLease(this.config.device, report.reason));
    else if (report.type === 'link' && this.stopping === null) this.emit('link', report.state, report.reason);
    else if (report.type === 'retired') this.rx?.order({ ...report, type: 'retireRx' });
  }

  private readdressed(change: AddressChange): void {
    for (const core of this.cores) core.order({ type: 'lease', lease: change.lease });
    this.addressChanged(change);
    this.onApplied.shift()?.();
  }

  /** A thread, of a core or of none (-1), has ended without being told to; without an error by its program. */
  private ended(core: number, error: TspmdError | null): void {
    if (this.stopping !== null) return;
    const others = this.cores.flatMap(({ isAlive }, index) => (isAlive && index !== core ? [index] : []));
    if (error === null) {
      if (others.length > 0) this.takeOver(core, others);
      else this.allOver();
      this.emit('coreEnd', core, this.cores[core].exitCode ?? 0);
      return;
    }
    if (core === -1 || this.isStarting || others.length === 0 || this.config.onCoreFailure === 'stop') {
      if (!this.isRun && !this.isStarting) this.warn(error.message);
      this.fail(error);
      return;
    }
    this.takeOver(core, others);
    // A stack may fail before the user has added a listener.
    if (!this.emit('coreFailure', core, error as CoreError)) {
      this.warn(`${error.message}; the other cores take its flows over`);
    }
  }

  /** Gives the flows of a core whose thread has ended to others, first; then its buffers. */
  private takeOver(core: number, others: readonly number[]): void {
    this.indirection.moveFrom(core, others);
    (this.tx ?? this.rx)?.order({ type: 'retireTx', core });
  }
}
