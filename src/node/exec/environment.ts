/** The configuration of `tspmd/register`: environment variables. */
import { LOG_FORMS, type LogForm } from '../../../drivers/log/event-log.js';
import type { SingleConfig } from '../../config.js';
import { ConfigError } from '../../errors.js';
import { parseDnsServer } from '../dns/server.js';
import type { ExecOptions } from './options.js';
import { parsePorts } from './ports.js';

/** What the variables say. */
export interface Environment {
  readonly config: SingleConfig;
  readonly options: Pick<ExecOptions, 'dns' | 'kernelPorts'>;
  /** Whether nothing is to be printed at the start. */
  readonly isQuiet: boolean;
  readonly log: LogForm;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** @throws ConfigError with one line per wrong or missing variable */
export function readEnvironment(variables: Variables): Environment {
  const faults: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const text = variables[name];
    if (text === undefined || text === '') return undefined;
    try {
      return parse(text);
    } catch (error) {
      faults.push(`${name}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const text = (name: string): string | undefined => read(name, (value) => value);
  const needed = (name: string, example: string): string => {
    const value = text(name);
    if (value === undefined) faults.push(`${name} is not set; tspmd/register needs it: ${name}=${example}`);
    return value ?? '';
  };
  const config = {
    mode: 'single',
    device: needed('TSPMD_DEVICE', 'vhost-user:/tmp/tspmd-vm1.sock'),
    ip: needed('TSPMD_IP', '10.0.0.1/24'),
    ...defined({
      mac: text('TSPMD_MAC'),
      mtu: read('TSPMD_MTU', wholeNumber),
      gateway: text('TSPMD_GATEWAY'),
      neighbours: read('TSPMD_NEIGHBOURS', assignments),
      buffers: read('TSPMD_BUFFERS', wholeNumber),
      hugepages: read('TSPMD_HUGEPAGES', oneOf('auto', 'require', 'never')),
      ring: read('TSPMD_RING', oneOf('auto', 'split', 'packed')),
      offloads: read('TSPMD_OFFLOADS', oneOf('auto', 'off')),
      idle: read('TSPMD_IDLE', oneOf('adaptive', 'spin')),
      cores: read('TSPMD_CORES', (value) => [wholeNumber(value)]),
    }),
  } satisfies SingleConfig;
  const options = {
    dns: read('TSPMD_DNS', dnsServers) ?? [],
    kernelPorts: read('TSPMD_KERNEL_PORTS', parsePorts) ?? [],
  };
  const log = read('TSPMD_LOG', oneOf(...LOG_FORMS)) ?? 'text';
  if (faults.length > 0) throw new ConfigError(faults);
  return { config, options, isQuiet: text('TSPMD_QUIET') === '1', log };
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`'${text}' is not a whole number`);
  return Number(text);
}

function oneOf<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((known) => known === text);
    if (word === undefined) throw new Error(`'${text}' is none of ${words.join(', ')}`);
    return word;
  };
}

/** Reads `10.0.0.2=52:54:00:00:00:02,…`. */
function assignments(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((part) => {
      const [name = '', value, ...more] = part.trim().split('=');
      if (value === undefined || more.length > 0) throw new Error(`'${part}' is not IP=MAC`);
      return [name, value];
    }),
  );
}

function dnsServers(text: string): string[] {
  const servers = text.split(',').map((part) => part.trim());
  for (const server of servers) parseDnsServer(server);
  return servers;
}

/** The same without what is undefined. */
function defined<T extends object>(all: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
