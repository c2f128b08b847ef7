/** struct virtio_net_hdr (virtio 1.2, 5.1.6), which goes before every frame in both directions. Offsets in bytes. */

/** Bytes of the header with VERSION_1 or MRG_RXBUF: `num_buffers` is there. */
export const NET_HEADER_BYTES = 12;
/** Bytes of the header of a legacy driver without MRG_RXBUF: no `num_buffers` (5.1.6.1). */
export const LEGACY_NET_HEADER_BYTES = 10;

export const NET_HEADER_FLAGS = 0;
export const NET_HEADER_GSO_TYPE = 1;
export const NET_HEADER_HDR_LEN = 2;
export const NET_HEADER_GSO_SIZE = 4;
export const NET_HEADER_CSUM_START = 6;
export const NET_HEADER_CSUM_OFFSET = 8;
export const NET_HEADER_NUM_BUFFERS = 10;

export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;
export const VIRTIO_NET_HDR_GSO_NONE = 0;
