/** The fields of the network device's configuration space (virtio 1.2, 5.1.4) whose features were negotiated. */
import { randomBytes } from 'node:crypto';
import { formatMac, MAC_BYTES } from '../mac-address.js';
import { linkText } from '../net-device.js';
import * as f from './features.js';
import type { VirtioTransport } from './transport.js';

const OFFSET_MAC = 0;
const OFFSET_STATUS = 6;
const OFFSET_MTU = 10;
const OFFSET_SPEED = 12;
const OFFSET_DUPLEX = 16;
const NET_S_LINK_UP = 1;
const NET_S_ANNOUNCE = 2;
/** 5.1.4.1: "The device MUST set mtu to between 68 and 65535 inclusive". 68 is the least that IPv4 asks of any link. */
const MIN_MTU = 68;
/** 5.1.4.2: a larger speed, and a duplex other than these two, stand for "unknown". */
const MAX_SPEED = 0x7fff_ffff;
const DUPLEX = ['half', 'full'] as const;

export class NetConfigSpace {
  private constructor(
    /** The device's address; null without VIRTIO_NET_F_MAC. */
    readonly mac: Uint8Array | null,
    /** Whether the link is up; true without VIRTIO_NET_F_STATUS (5.1.4.2). */
    readonly linkUp: boolean,
    /** Whether the device asks us to announce our address; false without GUEST_ANNOUNCE (5.1.6.5.4). */
    readonly announce: boolean,
    /** The device's limit in bytes; null without VIRTIO_NET_F_MTU. */
    readonly mtu: number | null,
    /** Speed of the link in Mb/s; null when it is unknown, also without VIRTIO_NET_F_SPEED_DUPLEX. */
    readonly speed: number | null,
    /** Null when it is unknown, as {@link speed} may be. */
    readonly duplex: 'half' | 'full' | null,
  ) {}

  /** Speed and duplex, for people; empty when both are unknown. */
  get link(): string {
    return linkText(this.speed, this.duplex);
  }

  static async read(transport: VirtioTransport, features: bigint): Promise<NetConfigSpace> {
    let mac: Uint8Array | null = null;
    let linkUp = true;
    let announce = false;
    let mtu: number | null = null;
    if ((features & f.VIRTIO_NET_F_MAC) !== 0n) {
      mac = await transport.readConfig(OFFSET_MAC, MAC_BYTES);
      if ((mac[0] & 1) !== 0 || mac.every((byte) => byte === 0)) {
        throw new Error(`${transport.name}: the device's MAC ${formatMac(mac)} is not a unicast address`);
      }
    }
    if ((features & f.VIRTIO_NET_F_STATUS) !== 0n) {
      const [status] = await transport.readConfig(OFFSET_STATUS, 2);
      linkUp = (status & NET_S_LINK_UP) !== 0;
      announce = (status & NET_S_ANNOUNCE) !== 0 && (features & f.VIRTIO_NET_F_GUEST_ANNOUNCE) !== 0n;
    }
    if ((features & f.VIRTIO_NET_F_MTU) !== 0n) {
      const bytes = await transport.readConfig(OFFSET_MTU, 2);
      mtu = bytes[0] | (bytes[1] << 8);
      if (mtu < MIN_MTU) throw new Error(`${transport.name}: the device's MTU ${mtu} is less than ${MIN_MTU}`);
    }
    let speed: number | null = null;
    let duplex: 'half' | 'full' | null = null;
    if ((features & f.VIRTIO_NET_F_SPEED_DUPLEX) !== 0n) {
      const bytes = Buffer.from(await transport.readConfig(OFFSET_SPEED, 4));
      const value = bytes.readUInt32LE();
      speed = value <= MAX_SPEED ? value : null;
      duplex = DUPLEX[(await transport.readConfig(OFFSET_DUPLEX, 1))[0]] ?? null;
    }
    return new NetConfigSpace(mac, linkUp, announce, mtu, speed, duplex);
  }
}

/** Returns a random unicast, locally administered address (IEEE 802: bit 1 of the first byte). */
export function randomMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(MAC_BYTES));
  mac[0] = (mac[0] & 0xfc) | 0x02;
  return mac;
}
