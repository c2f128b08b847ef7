/**
 * Which frames the device passes on to us, set by the commands that it offers (virtio 1.2, 5.1.6.5.1 and .2). A device
 * without CTRL_RX passes on what it likes. The layer above filters in any case.
 */
import * as f from '../features.js';
import type { ControlQueue } from './control-queue.js';

interface ReceiveFilter {
  /** The address of frames to us. */
  readonly mac: Uint8Array;
  /** The device's own address, or null when it has none. */
  readonly deviceMac: Uint8Array | null;
  readonly promiscuous: boolean;
  readonly allMulticast: boolean;
}

/** Sets the filter as far as `features` allow. Rejects with one line when the device refuses. */
export async function setReceiveFilter(control: ControlQueue, features: bigint, filter: ReceiveFilter): Promise<void> {
  const { mac, deviceMac } = filter;
  const isOther = deviceMac === null || mac.some((byte, i) => byte !== deviceMac[i]);
  const canSetMac = (features & f.VIRTIO_NET_F_CTRL_MAC_ADDR) !== 0n;
  if (isOther && canSetMac) await control.setMac(mac);
  if ((features & f.VIRTIO_NET_F_CTRL_RX) === 0n) return;
  // 5.1.6.5.2: a device that cannot change its own address can still receive frames to ours through its filter.
  await control.setMacTable(isOther && !canSetMac ? [mac] : [], []);
  await control.setPromiscuous(filter.promiscuous);
  await control.setAllMulticast(filter.allMulticast);
}
