/**
 * Which offloads the device may use on what we receive, switched while the device runs (virtio 1.2, 5.1.6.5.8). All that
 * were negotiated are on after a reset.
 */
import * as f from '../features.js';
import type { ControlQueue } from './control-queue.js';

/** What makes received packets other than plain ones. In the command each has the bit that its feature has. */
export const RECEIVE_OFFLOADS =
  f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6 | f.VIRTIO_NET_F_GUEST_ECN;

/**
 * Has the device use all receive offloads that were negotiated, or none. Packets that are in the ring already may still be
 * of the other kind.
 * @param name of the device
 * @param features the negotiated ones
 * @throws (rejects) Error with one line when offloads that are wanted were not negotiated, when the device has no such
 *   command, when it refuses, and when it does not answer
 */
export async function setGuestOffloads(
  control: ControlQueue,
  name: string,
  features: bigint,
  on: boolean,
): Promise<void> {
  const negotiated = features & RECEIVE_OFFLOADS;
  if (negotiated === 0n) {
    if (!on) return;
    throw new Error(`${name}: receive offloads cannot be switched on: none was negotiated`);
  }
  if ((features & f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) === 0n) {
    throw new Error(`${name}: receive offloads cannot be switched: the device does not offer CTRL_GUEST_OFFLOADS`);
  }
  await control.setGuestOffloads(on ? negotiated : 0n);
}
