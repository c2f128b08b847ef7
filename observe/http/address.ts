/** Where a process serves its metrics and its page, and the events that say so. */
import type { EventSink } from '../../drivers/log/events.js';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What a command was asked to serve. */
export interface ServeOptions {
  /** Where metrics are served: `--metrics`. */
  readonly metrics?: ListenAddress | undefined;
  /** Whether there is a live page, at the same address: `--page`. */
  readonly page?: boolean | undefined;
}

/** What the thread of the observer is told to serve. */
export interface Served extends ListenAddress {
  readonly hasPage: boolean;
  /** The option that asked for it, for errors. */
  readonly option: string;
  /** The file of a module that makes metrics of what `stats` returns: MetricsModule. */
  readonly module: string;
}

/** A page without an address is for this machine only, at a port that is free. */
const FOR_PAGE: ListenAddress = { host: '127.0.0.1', port: 0 };

export const textOf = ({ host, port }: ListenAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

const addressOf = ({ metrics, page }: ServeOptions): ListenAddress | null => metrics ?? (page ? FOR_PAGE : null);

/**
 * Returns what to serve; null when that is nothing.
 * @param module {@link Served.module}
 */
export function servedBy(options: ServeOptions, module: string): Served | null {
  const address = addressOf(options);
  if (address === null) return null;
  const { host, port } = address;
  return { host, port, hasPage: options.page ?? false, option: options.metrics ? '--metrics' : '--page', module };
}

/**
 * Says what is served where.
 * @param port the one that the process has, if the address says 0
 */
export function tellServed(options: ServeOptions, port: number, tell: EventSink): void {
  const address = addressOf(options);
  if (address === null) return;
  const url = `http://${textOf({ host: address.host, port })}/`;
  if (options.metrics !== undefined) tell(`metrics: ${url}metrics`, { event: 'metrics', url: `${url}metrics` });
  if (options.page) tell(`page: ${url}`, { event: 'page', url });
}
