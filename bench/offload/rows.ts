/** The rows of `bench -- offload`, and the setup and the answers of its loads. */
import type { OffloadPolicy } from '../../drivers/offloads.js';

export const BULK = 'bulk/65536/csum+tso';
export const BULK_PLAIN = 'bulk/1514/none';
export const TCP_BULK = 'tcp-bulk/offload';
export const TCP_BULK_PLAIN = 'tcp-bulk/none';

export interface Setup {
  /** The sockets of the sender's and the receiver's port. */
  readonly sockets: readonly string[];
  readonly offloads: OffloadPolicy;
  readonly cpu: number;
  readonly hugepages: boolean;
}

/** What has arrived in a window. */
export interface Run {
  /** Bytes of frames (bulk) or of data (tcp-bulk). */
  readonly bytes: number;
  readonly seconds: number;
}

/** What the receiver has found out about frames that it has read whole. */
export interface Check {
  readonly frames: number;
  /** Frames of another length, or with a wrong byte. */
  readonly wrong: number;
  /** Frames that came as one GSO packet each, with a partial checksum. */
  readonly gso: number;
}

/** The addresses of sender and receiver, at the ports 0 and 1 of the switch. */
export const SENDER_IP = '10.0.0.1';
export const RECEIVER_IP = '10.0.0.2';
