/** What the sample apps over TCP share: a TCP/IP stack that drives itself, options, and a beat per second. */
import { AppError } from '../../errors.js';
import type { Core } from '../../link/core.js';
import type { Stack, StackOptions } from '../../stack.js';
import { TcpIp } from '../../tcpip/index.js';
import { checkOptions } from '../options.js';

/** What an app does with its stack. */
export interface TcpService {
  report(): Record<string, number>;
  /** Called every second. */
  tick?(): void;
  stop?(): void;
}

/** What the module of every app over TCP exports for {@link StackModule}. */
export const layer = 'ip';
export const offloads = 'auto';

/** The options of every app over TCP. */
const COMMON = ['port', 'connections'];
const TICK_MS = 1000;

/**
 * Makes the stack of an app over TCP.
 * @param options of the app; `connections` is the most that the stack has
 * @param own options of this app beside `port` and `connections`
 * @param start begins to listen
 * @throws AppError when an option is wrong
 */
export function createTcpApp(
  app: string,
  core: Core,
  options: StackOptions,
  own: readonly string[],
  start: (net: TcpIp) => TcpService,
): Stack {
  checkOptions(app, options, [...COMMON, ...own]);
  const maxConnections = numberOption(app, options, 'connections');
  const net = new TcpIp(core, maxConnections === undefined ? {} : { maxConnections });
  const service = start(net);
  const timer = service.tick === undefined ? undefined : setInterval(() => service.tick?.(), TICK_MS);
  return {
    poll: () => net.poll(),
    pollAgain: () => net.pollAgain(),
    maxSleepMs: () => net.maxSleepMs(),
    report: () => ({ ...service.report(), ...net.report() }),
    stop() {
      clearInterval(timer);
      service.stop?.();
      net.stop();
    },
  };
}

/** Returns the port of an app. */
export function portOption(app: string, options: StackOptions, standard: number): number {
  return numberOption(app, options, 'port') ?? standard;
}

function numberOption(app: string, options: StackOptions, name: string): number | undefined {
  const given = options[name];
  if (given === undefined) return undefined;
  const value = Number(given);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new AppError(`${app}: ${name} ${String(given)} is not a whole number of at least 1`);
}
