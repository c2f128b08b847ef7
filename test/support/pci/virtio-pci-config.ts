/** Configuration spaces of virtio PCI devices for tests, sound and broken ones. */

/** Where the model's structures begin in BAR 4, as QEMU lays them out. */
export const Piece = { common: 0, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
export const NOTIFY_MULTIPLIER = 4;

/** A vendor capability (4.1.4); a field that is left out is as on a sound device. */
export interface Capability {
  id?: number;
  type: number;
  bar?: number;
  offset: number;
  length?: number;
  capLength?: number;
  multiplier?: number;
}

/** What QEMU's virtio-net-pci has: MSI-X, then the structures. */
export function modernCapabilities(): Capability[] {
  return [
    { id: 0x11, type: 0, offset: 0 },
    { type: 5, offset: 0, bar: 0, length: 0 },
    { type: 2, offset: Piece.notify, capLength: 20, multiplier: NOTIFY_MULTIPLIER },
    { type: 4, offset: Piece.device },
    { type: 3, offset: Piece.isr },
    { type: 1, offset: Piece.common },
  ];
}

/** 256 bytes of configuration space with these capabilities in this order. */
export function pciConfig(capabilities: readonly Capability[], deviceId = 0x1041): Uint8Array {
  const config = Buffer.alloc(256);
  config.writeUInt16LE(0x1af4, 0);
  config.writeUInt16LE(deviceId, 2);
  config.writeUInt16LE(2, 4);
  config.writeUInt16LE(capabilities.length > 0 ? 0x10 : 0, 6);
  let pointer = 0x34;
  let at = 0x40;
  for (const capability of capabilities) {
    const { id = 0x09, type, bar = 4, offset, length = 0x1000, capLength = 16, multiplier = 0 } = capability;
    config[pointer] = at;
    config[at] = id;
    config[at + 2] = capLength;
    config[at + 3] = type;
    config[at + 4] = bar;
    config.writeUInt32LE(offset, at + 8);
    config.writeUInt32LE(length, at + 12);
    config.writeUInt32LE(multiplier, at + 16);
    pointer = at + 1;
    at += Math.max(20, Math.ceil(capLength / 4) * 4);
  }
  return new Uint8Array(config);
}
