/** The port with mode `single` (Case I of the design): one core, on the thread that called `init`. */
import { messageOf } from '../drivers/log/message-of.js';
import type { NetDevice } from '../drivers/net-device.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import { BasePort, type PortCaptures } from './base-port.js';
import type { ResolvedConfig } from './config.js';
import type { PortCounters } from './counters.js';
import { ArgumentError, DeviceError, StateError } from './errors.js';
import type { AddressChange } from './link/dhcp/lease.js';
import { type ConnectionList, type ConnectionQuery, mergeLists, type TcpFigures, tcpOf } from './link/published.js';
import { runStack } from './link/run-loop.js';
import type { SingleCore } from './link/single-core.js';
import type { WarningSink } from './link/warnings.js';
import { OwnThreadWatch, watchEvery } from './link/watchdog.js';
import type { PortStatus, SinglePort, StackTotals } from './port.js';
import type { IndirectionTable } from './rss/indirection-table.js';
import { type EventLoopStack, liveTotals, type Stack } from './stack.js';

export class OneCorePort extends BasePort implements SinglePort {
  readonly mode = 'single';
  private stopping: Promise<void> | null = null;
  private readonly endWatch: () => void;

  /** @param warn takes the warnings when there is no listener for them */
  constructor(
    config: ResolvedConfig,
    private readonly device: NetDevice,
    private readonly only: SingleCore,
    private readonly stack: Stack | EventLoopStack | null,
    warn: WarningSink,
  ) {
    super(config, warn);
    device.onLink = (state, reason) => {
      if (this.stopping !== null) return;
      if (state === 'up') only.announce();
      this.emit('link', state, reason);
    };
    device.onAnnounce = () => {
      if (this.stopping === null) only.announce();
    };
    this.endWatch = watchEvery([new OwnThreadWatch('core 0', only, this.warn)]);
  }

  protected get isStopped(): boolean {
    return this.stopping !== null;
  }

  protected async applyAddress(change: AddressChange): Promise<void> {
    this.only.setAddress(change);
    // The listeners hear of it after the poll that is under way.
    await new Promise((resolve) => setImmediate(resolve));
  }

  get name(): string {
    return this.device.name;
  }

  get offloads(): number {
    return this.device.offloads;
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  get indirection(): IndirectionTable {
    return this.only.indirection;
  }

  core(index = 0): SingleCore {
    if (index !== 0) throw new ArgumentError(`core ${index}: this port has 1`);
    return this.only;
  }

  async setReceiveOffloads(on: boolean): Promise<void> {
    if (this.stopping !== null) throw new StateError(`setReceiveOffloads: the port on ${this.name} was stopped`);
    if (this.device.setReceiveOffloads === undefined) {
      throw new DeviceError(`${this.name}: receive offloads cannot be switched: this kind of device has none`);
    }
    try {
      await this.device.setReceiveOffloads(on);
    } catch (cause) {
      throw new DeviceError(messageOf(cause), { cause });
    }
  }

  counters(): PortCounters {
    return this.only.counters();
  }

  status(): PortStatus {
    const { isAsleep } = this.only;
    const core = { title: 'core 0', index: 0, isAlive: true, isAsleep, counters: this.only.counters(), rings: null };
    return { cores: [core], workers: [] };
  }

  async totals(): Promise<readonly (StackTotals | undefined)[]> {
    return [liveTotals(this.stack)];
  }

  get captures(): PortCaptures {
    return this.only.capture;
  }

  async tcp(): Promise<readonly (TcpFigures | null)[]> {
    return [tcpOf(this.only)?.figures() ?? null];
  }

  protected async listConnections(query: ConnectionQuery): Promise<ConnectionList> {
    return (await tcpOf(this.only)?.connections(query)) ?? mergeLists([], query);
  }

  async run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]> {
    if (this.stack === null) throw new StateError(`run: no app was named in the configuration of ${this.name}`);
    await runStack(this.only, this.stack, { signal });
    return [this.stack.report?.()];
  }

  stop(): Promise<void> {
    if (this.stopping === null) {
      this.endWatch();
      this.only.giveBack();
      this.only.close();
      this.stopping = this.device.close().then(() => {
        // Frames that found no room in the ring are lost now, and counted.
        this.only.flush();
      });
    }
    return this.stopping;
  }
}
