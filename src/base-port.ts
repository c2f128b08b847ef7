/** What all ports have in common: events, and where warnings go. */
import { EventEmitter } from 'node:events';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { CaptureWish } from '../observe/capture/sink.js';
import type { ResolvedConfig } from './config.js';
import type { PortCounters } from './counters.js';
import { StateError } from './errors.js';
import { INSPECT } from './inspect.js';
import type { AddressChange, Lease } from './link/dhcp/lease.js';
import type { HostAddress } from './link/host.js';
import { type ConnectionList, type ConnectionQuery, checkedQuery, type TcpFigures } from './link/published.js';
import type { WarningSink } from './link/warnings.js';
import type { PortAddress, PortBase, PortEvents, PortStatus, StackTotals } from './port.js';
import { resolveAddress } from './resolve-config.js';
import type { IndirectionTable } from './rss/indirection-table.js';
import { formatIpv4, formatMac } from './wire/address.js';

/** Begins and ends captures of a port. */
export interface PortCaptures {
  /** Returns the rings where the copies come: one per thread that has packets. */
  open(wish: CaptureWish): SharedArrayBuffer[];
  /** Ends the capture with this number. */
  close(id: number): void;
}

export abstract class BasePort implements PortBase {
  private readonly events = new EventEmitter();
  private host: HostAddress;
  private currentLease: Lease | null = null;

  abstract get name(): string;
  abstract get offloads(): number;
  abstract get mac(): Uint8Array;
  abstract get indirection(): IndirectionTable;
  abstract counters(): PortCounters;
  abstract status(): PortStatus;
  abstract totals(): Promise<readonly (StackTotals | undefined)[]>;
  abstract tcp(): Promise<readonly (TcpFigures | null)[]>;
  abstract run(signal: StopSignal): Promise<readonly (StackTotals | undefined)[]>;
  abstract stop(): Promise<void>;
  abstract readonly captures: PortCaptures;

  /** @param warnOtherwise takes the warnings when there is no listener for them */
  protected constructor(
    readonly config: ResolvedConfig,
    private readonly warnOtherwise: WarningSink,
  ) {
    this.host = config;
  }

  /** As {@link connections}, for a query that was checked. */
  protected abstract listConnections(query: ConnectionQuery): Promise<ConnectionList>;
  /** Changes the address in the thread that receives. Resolves when it has. */
  protected abstract applyAddress(change: AddressChange): Promise<void>;
  protected abstract readonly isStopped: boolean;

  async connections(query: ConnectionQuery): Promise<ConnectionList> {
    return this.listConnections(checkedQuery(query));
  }

  get lease(): Lease | null {
    return this.currentLease;
  }

  get address(): PortAddress {
    const { address, prefixLength, gateway = 0 } = this.host;
    return { address: formatIpv4(address), prefixLength, gateway: gateway === 0 ? null : formatIpv4(gateway) };
  }

  async setAddress(ip: string, { gateway }: { readonly gateway?: string } = {}): Promise<void> {
    const host = resolveAddress(ip, gateway);
    if (this.isStopped) throw new StateError(`setAddress: the port on ${this.name} was stopped`);
    if (this.config.layer !== 'ip') throw new StateError(`setAddress: with layer 'ethernet' a port has no address`);
    if (this.config.isDhcp) throw new StateError(`setAddress: the address of ${this.name} comes from DHCP`);
    await this.applyAddress({ host, lease: null, reason: 'set by the program' });
  }

  /** Takes a change of our address from the thread that receives, and tells the listeners. */
  addressChanged({ host, lease, reason }: AddressChange): void {
    const old = this.host;
    const before = this.currentLease;
    this.host = host;
    this.currentLease = lease;
    if (this.isStopped) return;
    const isSame = (host.address | 0) === (old.address | 0) && host.prefixLength === old.prefixLength;
    if (!isSame || (host.gateway ?? 0) !== (old.gateway ?? 0)) this.emit('address', this.address, reason);
    if (lease !== before) this.emit('lease', lease, reason);
  }

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
    const address = `${this.address.address}/${this.address.prefixLength} at ${formatMac(mac)}`;
    return `Port on ${name}: ${address}, mode ${config.mode}, ${cores}`;
  }

  /** @returns whether there was a listener */
  protected emit<Event extends keyof PortEvents>(event: Event, ...args: Parameters<PortEvents[Event]>): boolean {
    return this.events.emit(event, ...args);
  }
}
