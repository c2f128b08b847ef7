/** The options that name and shape a device, shared by `run` and `ping`. */
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
  verbose?: boolean;
}

/** The part of the configuration that these options are. Checked by `init`, which says what is wrong with it. */
export function deviceConfig(options: DeviceOptions): TspmdConfig {
  const { device, ip, mac, mtu, gateway, neighbour, buffers, hugepages, ring } = options;
  return {
    device,
    ip,
    hugepages,
    ring,
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(neighbour === undefined ? {} : { neighbours: neighbour }),
    ...(buffers === undefined ? {} : { buffers }),
  };
}
