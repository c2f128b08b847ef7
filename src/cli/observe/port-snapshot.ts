/** What a running port tells those who ask (`tspmd stats`): structured-cloneable, and JSON without loss. */
import { formatMac, type Port } from '../../index.js';
import { addressText } from '../output/lease-lines.js';
import { type PortSample, sampleOf } from '../output/rates.js';

export interface PortSnapshot extends PortSample {
  /** The device, as people name it. */
  readonly device: string;
  readonly mac: string;
  /** `10.0.0.1/24`; `0.0.0.0/0` while there is none. */
  readonly address: string;
  readonly gateway: string | null;
}

export function snapshotOf(port: Port): PortSnapshot {
  const { name, mac, address } = port;
  return {
    device: name,
    mac: formatMac(mac),
    address: addressText(port),
    gateway: address.gateway,
    ...sampleOf(port),
  };
}
