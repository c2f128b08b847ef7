/** Lets `tspmd list` and `tspmd stats` find a command that drives a port, and serves its metrics and its page. */
import { basename } from 'node:path';
import { tellErr } from '../../../drivers/log/event-log.js';
import type { OpenedCapture } from '../../../observe/capture/session.js';
import type { CaptureWish } from '../../../observe/capture/sink.js';
import type { ConnectionsArgs } from '../../../observe/control/commands.js';
import type { ProcessInfo } from '../../../observe/control/process-info.js';
import { RequestError } from '../../../observe/control/requests.js';
import { type ServeOptions, servedBy } from '../../../observe/http/address.js';
import { type Answerers, Observer } from '../../../observe/thread/observer.js';
import { BasePort } from '../../base-port.js';
import { L2_COUNTERS, meaningOf } from '../../counters.js';
import { formatMac, type Port, type StackTotals } from '../../index.js';
import { addressText } from '../output/lease-lines.js';
import { snapshotOf } from './port-snapshot.js';

/** The name of a process without `--name`: that of its app or program, without folder and extension. */
export const nameOf = (file: string): string => basename(file).replace(/\.[cm]?[jt]s$/, '');

/** Why a packet was dropped: by the number of the counter. */
const REASONS = L2_COUNTERS.map((name) => `${name}: ${meaningOf(name)}`);

/** While there is no lease. */
const NO_ADDRESS = '0.0.0.0';

/** The options that `run`, `exec` and `switch` share. */
export interface ObserveOptions extends ServeOptions {
  /** The name by which `tspmd stats` finds the process. */
  name?: string;
}

/** What is known before the device is open. */
interface Begun {
  readonly kind: 'run' | 'exec';
  readonly mode: ProcessInfo['mode'];
  /** The app or the program. */
  readonly file: string;
  readonly device: string;
}

/** Returns the totals of the stack of each core. */
type Totals = () => Promise<readonly (StackTotals | undefined)[]>;

export class ObservedPort {
  private port: Port | null = null;
  private totals: Totals = async () => [];
  private info: ProcessInfo;
  private observer: Observer | null = null;
  private readonly opening: Promise<void>;
  private readonly isServing: boolean;

  /**
   * Begins while the command opens its device, which may take long: the process is `starting` then. Metrics or a page
   * that cannot be served are an error. Without a control socket the command goes on, with a warning.
   */
  constructor({ kind, mode, file, device }: Begun, { name = nameOf(file), ...options }: ObserveOptions) {
    this.info = { kind, name, mode, state: 'starting', devices: [device], address: null };
    const serve = servedBy(options, new URL('./port-metrics.js', import.meta.url).href);
    const opened = (observer: Observer): void => {
      this.observer = observer;
    };
    const answerers: Answerers = {
      stats: () => this.snapshot(),
      // The thread has checked them.
      connections: (args) => this.opened.connections(args as unknown as ConnectionsArgs),
      openCapture: (args) => this.openCapture(args as unknown as CaptureWish),
      closeCapture: ({ id }) => this.basePort.captures.close(id as number),
    };
    this.opening = Observer.start(this.info, answerers, {
      serve,
      onFault: tellErr,
    }).then(opened);
    // Whoever waits for it gets the error.
    this.opening.catch(() => {});
    this.isServing = serve !== null;
  }

  /** Waits until the metrics and the page are served, if there are any. @throws (rejects) when that is not possible */
  async served(): Promise<void> {
    if (this.isServing) await this.opening;
  }

  /**
   * Tells that packets can flow. Resolves when the process can be asked.
   */
  async ready(port: Port, totals: Totals = () => port.totals()): Promise<void> {
    this.port = port;
    this.totals = totals;
    await this.opening;
    const update = (): void => {
      const address = port.address.address === NO_ADDRESS ? null : addressText(port);
      this.info = { ...this.info, state: 'ready', devices: [port.name], address };
      this.observer?.update(this.info);
    };
    port.on('address', update);
    update();
  }

  /** The TCP port of the metrics and the page; 0 without them. */
  get servedPort(): number {
    return this.observer?.servedPort ?? 0;
  }

  async close(): Promise<void> {
    await this.opening.catch(() => {});
    await this.observer?.close();
  }

  /** Removes the control socket, because the process ends at once. */
  readonly removeNow = (): void => this.observer?.removeNow();

  private openCapture(wish: CaptureWish): OpenedCapture {
    const port = this.basePort;
    const { name } = port;
    if (wish.port !== null && wish.port !== name) {
      throw new RequestError(`port: this process has one port, '${name}', and not '${wish.port}'`);
    }
    const interfaces = [{ name, description: `${addressText(port)} at ${formatMac(port.mac)}` }];
    return { interfaces, rings: port.captures.open(wish), reasons: REASONS };
  }

  private async snapshot(): Promise<object> {
    return { port: await snapshotOf(this.opened, this.totals) };
  }

  /** The thread asks only when the process is ready. */
  private get opened(): Port {
    if (this.port === null) throw new RequestError(`it has not opened ${this.info.devices.join(', ')} yet`);
    return this.port;
  }

  private get basePort(): BasePort {
    const { opened } = this;
    if (!(opened instanceof BasePort)) throw new RequestError('it has no port that packets can be captured from');
    return opened;
  }
}
