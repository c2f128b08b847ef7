/** struct virtio_net_hdr (virtio 1.2, 5.1.6), which precedes every frame in both directions. */

/** Bytes of the header with VERSION_1 or MRG_RXBUF: it ends with `num_buffers`. */
export const NET_HEADER_BYTES = 12;
/** Bytes of the header of a legacy driver without MRG_RXBUF: there is no `num_buffers` (5.1.6.1). */
export const LEGACY_NET_HEADER_BYTES = 10;

/** Offset of `num_buffers`, in bytes. */
export const NET_HEADER_NUM_BUFFERS = 10;
