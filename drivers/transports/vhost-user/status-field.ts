/**
 * The device status (virtio 1.2, 2.1) as the frontend sets it, if PROTOCOL_F_STATUS was negotiated. Without it there is
 * no status: the frontend sets up and kicks rings when its driver is ready.
 */
import { VIRTIO_STATUS_DRIVER_OK, VIRTIO_STATUS_FEATURES_OK } from '../../virtio/features.js';

export class StatusField {
  /** Whether PROTOCOL_F_STATUS was negotiated. */
  negotiated = false;
  /** The answer to GET_STATUS. */
  bits = 0;
  /** Whether the last features were refused. */
  featuresRefused = false;

  /** Sets the status. 2.2.2: FEATURES_OK does not stay set when the features were not accepted. */
  set(bits: number): void {
    this.bits = this.featuresRefused ? bits & ~VIRTIO_STATUS_FEATURES_OK : bits;
  }

  /** Whether the driver may be served. 2.1.2: no buffer is touched before DRIVER_OK. */
  get isLive(): boolean {
    return !this.negotiated || (this.bits & VIRTIO_STATUS_DRIVER_OK) !== 0;
  }
}
