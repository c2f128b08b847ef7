/** The addresses of the stack in these benchmarks, and of the gateway that gets its answers. */
import type { LinkOptions } from '../../src/link/link-layer.js';
import { parseIpv4, parseMac } from '../../src/wire/address.js';

export const STATION = {
  address: parseIpv4('10.0.0.1'),
  prefixLength: 24,
  mac: parseMac('02:00:00:00:00:01'),
} as const;
export const GATEWAY = { address: parseIpv4('10.0.0.254'), mac: parseMac('02:00:00:00:00:fe') } as const;

/** The MAC address of the gateway is configured, so there is no ARP. */
export const LINK: LinkOptions = {
  address: STATION.address,
  prefixLength: STATION.prefixLength,
  gateway: GATEWAY.address,
  neighbours: new Map([[GATEWAY.address, GATEWAY.mac]]),
};
