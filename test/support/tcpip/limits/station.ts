/** A core on a {@link CableDevice}, whose clock the test sets. Stacks on it cost nothing but their own work. */
import { type Core, init, type SinglePort } from '../../../../src/index.js';
import type { SingleCore } from '../../../../src/link/single-core.js';
import { neighbourMac } from '../../../../src/testing/fake-port.js';
import { formatIpv4, formatMac, parseIpv4 } from '../../../../src/wire/address.js';
import { CableDevice } from './cable-device.js';

/** The time of a test in ms. */
export interface Time {
  now: number;
}

export interface StationOptions {
  /** 1: 10.0.0.1, and so on. */
  readonly number: number;
  readonly time: Time;
  readonly mtu?: number;
  readonly buffers?: number;
  /** As that of the {@link CableDevice}. */
  readonly offloads?: number;
}

/** How many stations know each other's MAC address. */
export const STATIONS = 16;
const FIRST = parseIpv4('10.0.0.0');

export interface Station {
  readonly port: SinglePort;
  readonly core: Core;
  readonly device: CableDevice;
  readonly address: string;
  /** Buffers that the stack owns: neither released nor sent. */
  held(): number;
}

/** The address of a station as a number. */
export function stationAddress(number: number): number {
  return FIRST + number;
}

export async function openStation(options: StationOptions): Promise<Station> {
  const { number, time, ...rest } = options;
  const address = stationAddress(number);
  const neighbours: Record<string, string> = {};
  for (let i = 1; i <= STATIONS; i++) {
    if (i !== number) neighbours[formatIpv4(FIRST + i)] = formatMac(neighbourMac(FIRST + i));
  }
  const device = new CableDevice({ mac: neighbourMac(address), ...rest });
  const port = await init(
    // A gateway leads to all other addresses.
    { device: 'vhost-user:cable', ip: `${formatIpv4(address)}/24`, gateway: formatIpv4(FIRST + STATIONS), neighbours },
    { clock: () => time.now, warn: () => {}, openDevice: async () => device },
  );
  const core = port.core(0) as SingleCore;
  return { port, core, device, address: formatIpv4(address), held: () => port.counters().held_by_stack };
}

/** Joins two stations. */
export function join(one: Station, other: Station): void {
  one.device.peer = other.device;
  other.device.peer = one.device;
}
