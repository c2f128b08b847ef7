/** A list of ports, such as `22,5432,8000-8100`. */
import { ArgumentError } from '../../errors.js';

/** The first and the last port. */
export type PortRange = readonly [first: number, last: number];

const MAX_PORT = 65_535;

/** Reads a list. @throws ArgumentError when it is none */
export function parsePorts(text: string): PortRange[] {
  return text.split(',').map((part) => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    const range: PortRange = [Number(from), Number(to)];
    if (from === undefined || range[0] < 1 || range[0] > range[1] || range[1] > MAX_PORT) {
      throw new ArgumentError(`'${text}' is not a list of ports such as 22,5432,8000-8100`);
    }
    return range;
  });
}

/** Writes a list as {@link parsePorts} reads it. */
export function formatPorts(ranges: readonly PortRange[]): string {
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

export function hasPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(([first, last]) => port >= first && port <= last);
}
