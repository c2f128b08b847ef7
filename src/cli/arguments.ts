/**
 * Readers of command-line arguments, for commander. A wrong argument is an InvalidArgumentError that names the text.
 */
import { InvalidArgumentError } from 'commander';
import { parseDnsServer } from '../node/dns/server.js';
import { type PortRange, parsePorts } from '../node/exec/ports.js';

/** Reads a whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError(`'${text}' is not a whole number of at least 1.`);
  }
  return value;
}

/** Reads `56` or `0-1472` as the smallest and the largest number of bytes. */
export function sizeRange(text: string): [number, number] {
  const [, least, largest = least] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text) ?? [];
  if (least === undefined || Number(largest) < Number(least)) {
    throw new InvalidArgumentError(`'${text}' is neither a number of bytes nor a range such as 0-1472.`);
  }
  return [Number(least), Number(largest)];
}

/** Reads the name of a process: what a shell and a table take without quotes. */
export function processName(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(text)) {
    throw new InvalidArgumentError(`'${text}' is not a name of at most 32 letters, digits, '.', '_' and '-'.`);
  }
  return text;
}

/** Reads `9464`, `0.0.0.0:9464` or `[::1]:9464`: without a host, only this machine can connect. */
export function listenAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new InvalidArgumentError(`'${text}' is not [HOST:]PORT, such as 9464 or 0.0.0.0:9464.`);
  }
  return { host: bracketed ?? plain ?? '127.0.0.1', port };
}

/** Reads a number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError(`'${text}' is not a number above 0.`);
  }
  return value;
}

const MIN_INTERVAL = 0.1;
const MAX_INTERVAL = 3600;

/** Reads how many seconds are between two looks at a process. */
export function updateInterval(text: string): number {
  const value = positiveNumber(text);
  if (value < MIN_INTERVAL || value > MAX_INTERVAL) {
    throw new InvalidArgumentError(`'${text}' is not a number of seconds from ${MIN_INTERVAL} to ${MAX_INTERVAL}.`);
  }
  return value;
}

/** The columns that `tspmd top --sort` may name. */
export const TOP_SORTS = [
  ...(['packets', 'bits', 'drops', 'busy', 'name'] as const),
  ...(['state', 'rtt', 'unsent', 'retransmitted', 'bytes'] as const),
] as const;
export type TopSort = (typeof TOP_SORTS)[number];

/** Reads `0-3`, `0,2` or `0-1,4`: CPU numbers, in the given order. */
export function coreList(text: string): number[] {
  const cores: number[] = [];
  for (const part of text.split(',')) {
    const range = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    const first = Number(range?.[1]);
    const last = Number(range?.[2] ?? range?.[1]);
    if (range === null || last < first) {
      throw new InvalidArgumentError(`'${text}' is not a list of CPUs such as 0-3 or 0,2.`);
    }
    for (let core = first; core <= last; core++) cores.push(core);
  }
  return cores;
}

/** Reads `10.0.0.53,10.0.0.54:5353`: DNS servers. */
export function dnsServers(text: string): readonly string[] {
  const servers = text.split(',').map((part) => part.trim());
  for (const server of servers) checked(() => parseDnsServer(server));
  return servers;
}

/** Reads `22,8000-8100`. */
export const portList = (text: string): readonly PortRange[] => checked(() => parsePorts(text));

/** Returns what `read` returns. What it throws is about the argument. */
function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

function assignment(text: string, name: RegExp): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0 || !name.test(text.slice(0, at))) throw new InvalidArgumentError(`'${text}' is not NAME=value.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Collects the `key=value` texts of a repeated option in one object. */
export function keyValue(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [key, value] = assignment(text, /^[\w.:-]+$/);
  return { ...before, [key]: value };
}

/**
 * Collects the `NAME=value` arguments of a script in one object. NAME must be a name that the script can read as
 * `$NAME`.
 */
export function scriptVariable(text: string, before: Record<string, string>): Record<string, string> {
  const [name, value] = assignment(text, /^[A-Za-z_]\w*$/);
  return { ...before, [name]: value };
}
