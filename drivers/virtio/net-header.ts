/** struct virtio_net_hdr (virtio 1.2, 5.1.6), which precedes every frame in both directions. */

/** Bytes of the header with VERSION_1 or MRG_RXBUF: it ends with `num_buffers`. */
export const NET_HEADER_BYTES = 12;
/** Bytes of the header of a legacy driver without MRG_RXBUF: there is no `num_buffers` (5.1.6.1). */
export const LEGACY_NET_HEADER_BYTES = 10;

// Offsets of the fields, in bytes. Fields of two bytes are little-endian.
export const NET_HEADER_FLAGS = 0;
export const NET_HEADER_GSO_TYPE = 1;
/** Bytes of all headers of a segmented packet. It is a hint, and nobody relies on it (5.1.6.2.2, 5.1.6.4.2). */
export const NET_HEADER_HDR_LEN = 2;
export const NET_HEADER_GSO_SIZE = 4;
export const NET_HEADER_CSUM_START = 6;
export const NET_HEADER_CSUM_OFFSET = 8;
export const NET_HEADER_NUM_BUFFERS = 10;

// Values of the field `flags`.
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;
// Values of the field `gso_type`.
export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
/** A bit beside the type. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;
