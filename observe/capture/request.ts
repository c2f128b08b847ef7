/** What a request for a capture may say. */
import { RequestError } from '../control/requests.js';
import { compileFilter } from './filter/parse.js';
import { type CaptureWish, DIRECTION_IN, DIRECTION_OUT } from './sink.js';

/** A capture without a number. */
export interface CaptureRequest extends Omit<CaptureWish, 'id'> {
  /** The most packets; 0: no limit. */
  readonly count: number;
  /** How long it lasts, in seconds; 0: no limit. */
  readonly duration: number;
}

const DIRECTIONS: Readonly<Record<string, number>> = {
  in: DIRECTION_IN,
  out: DIRECTION_OUT,
  both: DIRECTION_IN | DIRECTION_OUT,
};
const MAX_SNAPLEN = 65_535;
/** A week, in seconds: as long as a timer of Node takes. */
const MAX_DURATION = 7 * 86_400;
const MAX_PORT = 256;

/** @throws RequestError when something is none of the values that it can have, or the filter cannot be used */
export function readCapture(request: object): CaptureRequest {
  const { filter, direction, drops, snaplen, count, duration, port } = request as Readonly<Record<string, unknown>>;
  return {
    filter: filterOf(filter ?? ''),
    directions: directionsOf(direction ?? 'both'),
    drops: flag('drops', drops ?? false),
    snaplen: whole('snaplen', snaplen ?? 0, MAX_SNAPLEN),
    count: whole('count', count ?? 0, Number.MAX_SAFE_INTEGER),
    duration: seconds(duration ?? 0),
    port: portOf(port ?? null),
  };
}

function filterOf(value: unknown): string {
  if (typeof value !== 'string') throw new RequestError('filter: an expression such as "tcp port 80" was expected');
  const text = value.trim();
  try {
    if (text !== '') compileFilter(text);
  } catch (error) {
    throw new RequestError((error as Error).message);
  }
  return text;
}

function directionsOf(value: unknown): number {
  const bits = typeof value === 'string' && Object.hasOwn(DIRECTIONS, value) ? DIRECTIONS[value] : undefined;
  if (bits === undefined) throw new RequestError('direction: in, out or both was expected');
  return bits;
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new RequestError(`${name}: true or false was expected`);
  return value;
}

function whole(name: string, value: unknown, most: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most) return value as number;
  throw new RequestError(`${name}: a whole number from 0 to ${most} was expected`);
}

function seconds(value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= MAX_DURATION) return value;
  throw new RequestError(`duration: a number of seconds from 0 to ${MAX_DURATION} was expected`);
}

function portOf(value: unknown): string | null {
  if (value === null || (typeof value === 'string' && value.length > 0 && value.length <= MAX_PORT)) return value;
  throw new RequestError('port: the name of a port was expected');
}
