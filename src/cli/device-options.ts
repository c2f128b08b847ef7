/** The options for a device, which `run`, `exec`, `ping` and `get` share. */
import type { TspmdConfig } from '../config.js';

export interface DeviceOptions {
  device: string;
  ip: string;
  mac?: string;
  mtu?: number;
  gateway?: string;
  neighbour?: Record<string, string>;
  buffers?: number;
  hugepages: 'auto' | 'require' | 'never';
  ring: 'auto' | 'split' | 'packed';
  offloads?: 'auto' | 'off';
  verbose?: boolean;
}

/** Converts the options to a configuration. `init` checks it. */
export function deviceConfig(options: DeviceOptions): TspmdConfig {
  const { device, ip, mac, mtu, gateway, neighbour, buffers, hugepages, ring, offloads } = options;
  return {
    device,
    ip,
    hugepages,
    ring,
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(neighbour === undefined ? {} : { neighbours: neighbour }),
    ...(offloads === undefined ? {} : { offloads }),
    ...(buffers === undefined ? {} : { buffers }),
  };
}
