/** The rows of `bench -- tcp-vm`, and what the load answers. Directions are seen from the guest, which is the server. */
import type { Direction } from '../tcp/bulk/setup.js';

/** What the load does in a row. */
export type Work =
  | { readonly kind: 'rr' | 'crr'; readonly connections: number }
  | { readonly kind: 'bulk'; readonly direction: Direction }
  | { readonly kind: 'http' };

export type Group = 'requests' | 'bulk' | 'http';

export interface VmRow {
  readonly name: string;
  /** Rows of one group have the same servers, which are measured in the same turns. */
  readonly group: Group;
  readonly work: Work;
  readonly unit: string;
}

const requests = (name: string, kind: 'rr' | 'crr', connections: number): VmRow => ({
  ...{ name: `vm/${name}`, group: 'requests', unit: 'requests/s' },
  work: { kind, connections },
});

const bulk = (direction: Direction): VmRow => ({
  ...{ name: `vm/bulk/${direction}`, group: 'bulk', unit: 'bytes/s' },
  work: { kind: 'bulk', direction },
});

export const VM_ROWS: readonly VmRow[] = [
  requests('rr/64/1', 'rr', 1),
  requests('rr/64/128', 'rr', 128),
  requests('crr/64', 'crr', 128),
  bulk('tx'),
  bulk('rx'),
  { name: 'vm/http/hello', group: 'http', unit: 'requests/s', work: { kind: 'http' } },
];

/** What the load finds in `process.argv[2]`. */
export interface LoadSetup {
  /** Path of the socket of the load's port; that of the guest's is `serverSocket(socket)`. */
  readonly socket: string;
  readonly cpu: number;
}

/** Requests or bytes that were done, and the time that they took. */
export interface Done {
  readonly done: number;
  readonly seconds: number;
}

/** What the load measures in a window. */
export interface Window extends Done {
  /** The part of the time in which the load's thread found something to do, for itself or for the switch. */
  readonly busy: number;
  /** The part of the time in which it moved packets through the switch. */
  readonly switchBusy: number;
}

/** The load's answer to a request. */
export type Answer = { readonly value: Window | null } | { readonly fault: string };
