/**
 * The port of Case II: the threads of the 1 KB or 2 KB layout, started, watched and stopped from the thread that called
 * `init`, which is on no packet's path.
 *
 *     1 KB, four CPUs    core 0   core 1   core 2   RxTx
 *     2 KB, four CPUs    core 0   core 1   Tx       Rx
 */
import type { StopSignal } from '../../drivers/stop-signal.js';
import { TX_COUNTERS, type TxCounterName } from '../../drivers/virtio/driver/queue-counts.js';
import type { TxLoan } from '../../drivers/virtio/lending/tx-loan.js';
import { CounterBlock } from '../../rings/counters.js';
import type { SpscRing } from '../../rings/spsc-ring.js';
import { BasePort } from '../base-port.js';
import type { Mode, ResolvedConfig, WaitOptions } from '../config.js';
import {
  createCoreCounters,
  createL2Counters,
  L2,
  type L2CounterName,
  type L2Counters,
  type PortCounters,
} from '../counters.js';
import { AbortedError, CoreError, StateError, type TspmdError } from '../errors.js';
import type { WarningSink } from '../link/warnings.js';
import { ThreadWatch, type WatchedThread, watchEvery } from '../link/watchdog.js';
import type { CoreStatus, MulticorePort, PortStatus, StackTotals, WorkerStatus } from '../port.js';
import { IndirectionTable } from '../rss/indirection-table.js';
import type { RssShare } from '../rss/rss.js';
import type { Doorbell } from './doorbell.js';
import { Interconnect } from './interconnect.js';
import { Member } from './member.js';
import type { CommonStart, OpenedDevice, Report, RxStart, StackStart } from './messages.js';
import { planBuffers } from './plan.js';

/** The app of a port: what every core runs. */
export interface PortApp {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export class ThreadedPort extends BasePort implements MulticorePort {
  readonly mode: Exclude<Mode, 'single'>;
  readonly indirection: IndirectionTable;
  private readonly interconnect: Interconnect;
  private readonly rxCounters = createL2Counters();
  private readonly txCounters = createL2Counters();
  /** What each core counts, and what the Rx worker counts for it. */
  private readonly coreCounters: L2Counters[];
  private readonly inbound: L2Counters[];
  private readonly rxQueues: SpscRing[];
  private readonly txQueues: SpscRing[];
  private readonly stacks: Member[] = [];
  private rx: Member | null = null;
  private tx: Member | null = null;
  private device: OpenedDevice | null = null;
  private lent: CounterBlock<TxCounterName> | null = null;
  private stopping: Promise<void> | null = null;
  /** Rejects with what ends the port, and never resolves. */
  private readonly failed: Promise<never>;
  /** Whoever opens the port hears of what goes wrong until then. */
  private isStarting = true;
  /** Whether somebody has called {@link run}, and so hears of what goes wrong. */
  private isRun = false;
  private fail: (error: Error) => void = () => {};
  private onOpened: (device: OpenedDevice, loan: TxLoan | null) => void = () => {};
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
    this.inbound = createCoreCounters(stackCores);
    this.rxQueues = this.interconnect.rings('rxQueue');
    this.txQueues = this.interconnect.rings('txQueue');
    this.failed = new Promise((_, reject) => {
      this.fail = reject;
    });
    // Whoever runs the port is told; while nobody does, it is no unhandled rejection.
    this.failed.catch(() => {});
  }

  /** Starts the threads and opens the device. Rejects with one clear line; nothing is left behind then. */
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

  get mac(): Uint8Array {
    const words = this.interconnect.macWords();
    return Uint8Array.from(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }

  counters(): PortCounters {
    const all = sumOf([this.rxCounters, this.txCounters, ...this.inbound, ...this.coreCounters]);
    const device = CounterBlock.attach(this.opened.counters).snapshot();
    // What the thread that sends has counted, the one that has the device publishes when it is awake.
    const lent = this.lent?.snapshot();
    for (const name of TX_COUNTERS) device[name] = Math.max(device[name], lent?.[name] ?? 0);
    // What a core that has failed had, has come home.
    const held = this.stacks.map(({ isAlive }, core) => (isAlive ? this.countedBy(core, L2.held_by_stack) : 0));
    return { ...all, held_by_stack: held.reduce((sum, own) => sum + own, 0), ...device };
  }

  status(): PortStatus {
    const cores = this.stacks.map((stack, index): CoreStatus => {
      const { title, isAlive } = stack;
      const counters = sumOf([this.inbound[index], this.coreCounters[index]]);
      if (!isAlive) counters.held_by_stack = 0;
      const occupancy = ({ count, capacity }: SpscRing) => ({ count, capacity });
      const rings = { rx_queue: occupancy(this.rxQueues[index]), tx_queue: occupancy(this.txQueues[index]) };
      const { isAsleep } = this.interconnect.coreDoorbell(index);
      return { title, index, isAlive, isAsleep, counters, rings };
    });
    return { cores, workers: this.workers() };
  }

  private workers(): WorkerStatus[] {
    const { interconnect, rx, tx, rxCounters, txCounters } = this;
    const status = (
      role: WorkerStatus['role'],
      member: Member | null,
      { isAsleep }: Doorbell,
      ...blocks: L2Counters[]
    ): WorkerStatus[] => {
      if (member === null) return [];
      const { title, isAlive } = member;
      return [{ title, role, isAlive, isAsleep, counters: sumOf(blocks) }];
    };
    const rxDoorbell = interconnect.rxDoorbell();
    // Where there is no Tx worker, the one that receives sends.
    if (tx === null) return status('RxTx', rx, rxDoorbell, rxCounters, txCounters);
    return [...status('Tx', tx, interconnect.txDoorbell(), txCounters), ...status('Rx', rx, rxDoorbell, rxCounters)];
  }

  /** What a core's stack does, for {@link ThreadWatch}. */
  private watched(core: number): WatchedThread {
    const { stacks, rxQueues } = this;
    const doorbell = this.interconnect.coreDoorbell(core);
    const polls = (): number => this.countedBy(core, L2.loop_polls);
    return {
      get isAlive() {
        return stacks[core].isAlive;
      },
      get isAsleep() {
        return doorbell.isAsleep;
      },
      // Polls are counted some at a time: a stack that polls seldom shows by what it takes.
      get progress() {
        return polls() + rxQueues[core].headNow;
      },
      get waiting() {
        return rxQueues[core].count;
      },
    };
  }

  private countedBy(core: number, counter: number): number {
    return this.coreCounters[core].values[counter];
  }

  async run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]> {
    this.isRun = true;
    await Promise.race([this.failed, aborted(signal)]);
    await this.stop();
    for (const error of this.endErrors()) throw error;
    return this.stacks.map(({ totals }) => totals);
  }

  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  /** First the cores, so that what they have sent still goes out; the device last. */
  private async shutDown(): Promise<void> {
    this.endWatch();
    await Promise.all(this.stacks.map((stack) => stack.stop()));
    await this.tx?.stop();
    await this.rx?.stop();
    // Whoever runs the port is told otherwise.
    if (!this.isRun) for (const { message } of this.endErrors()) this.warn(message);
  }

  /** What went wrong with the threads when they were told to stop. */
  private endErrors(): readonly Error[] {
    return [...this.stacks, this.tx, this.rx].flatMap((member) => member?.endError ?? []);
  }

  private get opened(): OpenedDevice {
    if (this.device === null) throw new StateError(`${this.config.device}: not open`);
    return this.device;
  }

  private async start(signal: StopSignal | undefined): Promise<void> {
    const { stackCores, mode } = this.config;
    // The last core has the device, with 2 KB the last but one sends.
    const hasTxWorker = mode === '2kb';
    const rss: RssShare = { ...this.config.rss, table: this.indirection.share() };
    const rxStart: RxStart = {
      ...this.common(hasTxWorker ? 'tspmd-rx' : 'tspmd-rxtx', stackCores + (hasTxWorker ? 1 : 0), this.rxCounters),
      coreCounters: this.inbound.map((block) => block.share()),
      txCounters: this.txCounters.share(),
      rss,
    };
    const opened = new Promise<TxLoan | null>((resolve) => {
      this.onOpened = (device, loan) => {
        this.device = device;
        resolve(loan);
      };
    });
    // All at once: a thread takes longer to start than a device to open.
    this.rx = this.member(hasTxWorker ? 'Rx worker' : 'RxTx worker', 'rx-worker.js', rxStart);
    if (hasTxWorker) {
      this.tx = this.member('Tx worker', 'tx-worker.js', this.common('tspmd-tx', stackCores, this.txCounters));
    }
    const { name: app, options: appOptions } = this.app;
    for (let index = 0; index < stackCores; index++) {
      const common = this.common(`tspmd-core${index}`, index, this.coreCounters[index]);
      const start: StackStart = { ...common, index, rss, app, appOptions };
      this.stacks.push(this.member(`core ${index}`, 'stack-worker.js', start, index));
    }
    const ready = [...this.stacks, this.tx].map((member) => member && this.readyOf(member.title));
    const loan = await this.orFailure(Promise.race([opened, stoppedBy(signal, this.config.device)]));
    const device = this.opened;
    if (device.notice !== '') this.warn(device.notice);
    if (loan !== null) {
      this.lent = CounterBlock.attach(loan.counters);
      this.tx?.order({ type: 'lend', loan }, [loan.port]);
    }
    for (const stack of this.stacks) stack.order({ type: 'attach', device });
    await this.orFailure(Promise.all(ready));
    this.isStarting = false;
    this.rx.order({ type: 'announce' });
    for (const stack of this.stacks) stack.order({ type: 'go' });
    this.endWatch = watchEvery(
      this.stacks.map(({ title }, core) => new ThreadWatch(title, this.watched(core), this.warn)),
    );
  }

  private common(name: string, place: number, counters: L2Counters): CommonStart {
    const { config, interconnect } = this;
    return { config, interconnect: interconnect.shared(), cpu: config.cores[place], name, counters: counters.share() };
  }

  private member(title: string, module: string, start: CommonStart, core?: number): Member {
    const onReport = (report: Report): void => this.take(title, report);
    const onEnd = (error: TspmdError): void => this.ended(error);
    return new Member({ title, core, module }, start, onReport, onEnd);
  }

  private readyOf(title: string): Promise<void> {
    return new Promise((resolve) => {
      this.onReady.set(title, resolve);
    });
  }

  /** What `started` resolves to; rejects when a thread fails meanwhile. */
  private orFailure<T>(started: Promise<T>): Promise<T> {
    return Promise.race([this.failed, started]);
  }

  private take(title: string, report: Report): void {
    if (report.type === 'opened') this.onOpened(report.device, report.loan);
    else if (report.type === 'ready') this.ready(title);
    else if (report.type === 'warning') this.warn(report.line);
    else if (report.type === 'link') this.linkChanged(report.state, report.reason);
    else if (report.type === 'retired') this.rx?.order({ ...report, type: 'retireRx' });
  }

  private ready(title: string): void {
    this.onReady.get(title)?.();
    this.onReady.delete(title);
  }

  private linkChanged(state: 'up' | 'down', reason: string): void {
    if (this.stopping === null) this.emit('link', state, reason);
  }

  /** A thread has ended that nobody told to. */
  private ended(error: TspmdError): void {
    if (this.stopping !== null) return;
    const core = error instanceof CoreError ? error.core : -1;
    const { isStarting } = this;
    const others = this.stacks.flatMap(({ isAlive }, index) => (isAlive && index !== core ? [index] : []));
    if (core === -1 || isStarting || others.length === 0 || this.config.onCoreFailure === 'stop') {
      this.fail(error);
      if (!this.isRun && !isStarting) this.warn(error.message);
      return;
    }
    // Flows first: from now on nothing new goes to a core that is not there.
    this.indirection.moveFrom(core, others);
    (this.tx ?? this.rx)?.order({ type: 'retireTx', core });
    // A stack may fail before whoever opens the port has had the time to listen.
    if (!this.emit('coreFailure', core, error as CoreError)) {
      this.warn(`${error.message}; the other cores take its flows over`);
    }
  }
}

/** What several threads have counted, by name. */
function sumOf([first, ...others]: readonly L2Counters[]): Record<L2CounterName, number> {
  const sum = first.snapshot();
  for (const { names, values } of others) {
    for (const [index, name] of names.entries()) sum[name] += values[index];
  }
  return sum;
}

/** Rejects when the signal aborts; it matters until the device is open. */
async function stoppedBy(signal: StopSignal | undefined, device: string): Promise<never> {
  await (signal === undefined ? new Promise(() => {}) : aborted(signal));
  throw new AbortedError(`${device}: stopped before it was open`);
}

function aborted(signal: StopSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
