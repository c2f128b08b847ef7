/** The fields of the network device's configuration space (virtio 1.2, 5.1.4) whose features were negotiated. */
import { randomBytes } from 'node:crypto';
import { formatMac, MAC_BYTES } from '../mac-address.js';
import * as f from './features.js';
import type { VirtioTransport } from './transport.js';

const OFFSET_MAC = 0;
const OFFSET_STATUS = 6;
const OFFSET_MTU = 10;
const NET_S_LINK_UP = 1;
const NET_S_ANNOUNCE = 2;
/** 5.1.4.1: "The device MUST set mtu to between 68 and 65535 inclusive". 68 is the least that IPv4 asks of any link. */
const MIN_MTU = 68;

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
  ) {}

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
    return new NetConfigSpace(mac, linkUp, announce, mtu);
  }
}

/** Returns a random unicast, locally administered address (IEEE 802: bit 1 of the first byte). */
export function randomMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(MAC_BYTES));
  mac[0] = (mac[0] & 0xfc) | 0x02;
  return mac;
}
