/**
 * The device status field as the frontend sets it (virtio 1.2, 2.1), where PROTOCOL_F_STATUS was negotiated. Without it there is
 * none: a frontend sets up and kicks rings when its driver is ready.
 */
import { VIRTIO_STATUS_DRIVER_OK, VIRTIO_STATUS_FEATURES_OK } from '../../virtio/features.js';

export class StatusField {
  /** PROTOCOL_F_STATUS. */
  negotiated = false;
  /** What GET_STATUS answers. */
  bits = 0;
  /** The features that came last were refused. */
  featuresRefused = false;

  /** 2.2.2: FEATURES_OK does not stay set where the features were not accepted. */
  set(bits: number): void {
    this.bits = this.featuresRefused ? bits & ~VIRTIO_STATUS_FEATURES_OK : bits;
  }

  /** 2.1.2: no buffer is touched before DRIVER_OK. */
  get isLive(): boolean {
    return !this.negotiated || (this.bits & VIRTIO_STATUS_DRIVER_OK) !== 0;
  }
}
