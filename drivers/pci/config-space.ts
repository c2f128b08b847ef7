/**
 * Configuration space of a PCI function (PCI Local Bus 3.0, 6.1 and 6.7): the registers used here, and the
 * capabilities.
 */

export const CONFIG_SPACE_BYTES = 256;

const CONFIG_COMMAND = 0x04;
const CONFIG_STATUS = 0x06;
const CONFIG_CAPABILITIES = 0x34;

const COMMAND_MEMORY = 1 << 1;
const COMMAND_BUS_MASTER = 1 << 2;
const STATUS_CAPABILITY_LIST = 1 << 4;

export const CAP_ID_VENDOR = 0x09;

/** The first 64 bytes are the header. Capabilities follow it, each at a multiple of 4. */
const HEADER_BYTES = 64;
/** There is no room for more capabilities that do not overlap, so a longer list is a loop. */
const MAX_CAPABILITIES = (CONFIG_SPACE_BYTES - HEADER_BYTES) / 4;

/** Access to the configuration space of one function. */
export interface ConfigSpace {
  /** Returns a copy of its first 256 bytes. */
  read(): Uint8Array;
  /** Writes one 16-bit register. */
  write16(offset: number, value: number): void;
}

/** One entry of the capability list. Its bytes begin at `offset`, the first one is the id. */
interface PciCapability {
  readonly id: number;
  readonly offset: number;
}

function configRead16(config: Uint8Array, offset: number): number {
  return config[offset] | (config[offset + 1] << 8);
}

export function configRead32(config: Uint8Array, offset: number): number {
  return (configRead16(config, offset) | (configRead16(config, offset + 2) << 16)) >>> 0;
}

/**
 * Returns the capabilities in the order of their list.
 * @throws Error when the list loops or leaves the configuration space: then the device is broken
 */
export function listCapabilities(config: Uint8Array, name: string): PciCapability[] {
  const found: PciCapability[] = [];
  if ((configRead16(config, CONFIG_STATUS) & STATUS_CAPABILITY_LIST) === 0) return found;
  // 6.7: the two lowest bits of a pointer are reserved and must be masked.
  let offset = config[CONFIG_CAPABILITIES] & 0xfc;
  while (offset !== 0) {
    if (offset < HEADER_BYTES) {
      throw new Error(`${name}: the capability list points at 0x${offset.toString(16)}, into the header`);
    }
    if (found.length >= MAX_CAPABILITIES) throw new Error(`${name}: the capability list is a loop`);
    found.push({ id: config[offset], offset });
    offset = config[offset + 1] & 0xfc;
  }
  return found;
}

/** Allows or forbids the function to read and write memory by itself (DMA). */
export function setBusMaster(config: ConfigSpace, on: boolean): void {
  const command = configRead16(config.read(), CONFIG_COMMAND);
  const wanted = on ? command | COMMAND_BUS_MASTER | COMMAND_MEMORY : command & ~COMMAND_BUS_MASTER;
  if (wanted !== command) config.write16(CONFIG_COMMAND, wanted);
}
