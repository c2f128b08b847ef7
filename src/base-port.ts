/** What all ports have in common: events, and where warnings go. */
import { EventEmitter } from 'node:events';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { ResolvedConfig } from './config.js';
import type { PortCounters } from './counters.js';
import { INSPECT } from './inspect.js';
import type { WarningSink } from './link/warnings.js';
import type { PortBase, PortEvents, PortStatus, StackTotals } from './port.js';
import type { IndirectionTable } from './rss/indirection-table.js';
import { formatIpv4, formatMac } from './wire/address.js';

export abstract class BasePort implements PortBase {
  private readonly events = new EventEmitter();

  abstract get name(): string;
  abstract get mac(): Uint8Array;
  abstract get indirection(): IndirectionTable;
  abstract counters(): PortCounters;
  abstract status(): PortStatus;
  abstract run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]>;
  abstract stop(): Promise<void>;

  /** @param warnOtherwise takes the warnings when there is no listener for them */
  protected constructor(
    readonly config: ResolvedConfig,
    private readonly warnOtherwise: WarningSink,
  ) {}

  on<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this {
    this.events.on(event, listener);
    return this;
  }

  once<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this {
    this.events.once(event, listener);
    return this;
  }

  off<Event extends keyof PortEvents>(event: Event, listener: PortEvents[Event]): this {
    this.events.off(event, listener);
    return this;
  }

  /** Gives a warning to the listeners of `warning`; without a listener, to the sink. */
  readonly warn = (line: string): void => {
    if (!this.emit('warning', line)) this.warnOtherwise(line);
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** One line for `console.log`, which would otherwise show the device with all of its memory. */
  [INSPECT](): string {
    const { name, config, mac } = this;
    const cores = config.stackCores === 1 ? 'one core' : `${config.stackCores} cores`;
    const address = `${formatIpv4(config.address)}/${config.prefixLength} at ${formatMac(mac)}`;
    return `Port on ${name}: ${address}, mode ${config.mode}, ${cores}`;
  }

  /** @returns whether there was a listener */
  protected emit<Event extends keyof PortEvents>(event: Event, ...args: Parameters<PortEvents[Event]>): boolean {
    return this.events.emit(event, ...args);
  }
}
