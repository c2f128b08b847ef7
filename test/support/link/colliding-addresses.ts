/** Addresses that collide in a neighbour table, as an attacker would choose them who knows the key of the table. */
import { NeighbourTable } from '../../../rings/neighbour-table.js';

/**
 * `count` addresses from `first` on whose search begins at the same slot of a table with `key`.
 * @param capacity of the table
 */
export function collidingAddresses(key: number, capacity: number, count: number, first = 0x0a00_0000): number[] {
  const buffer = new SharedArrayBuffer(NeighbourTable.bytesFor(capacity));
  const table = new NeighbourTable(buffer, 0, capacity, key) as unknown as { homeOf(ip: number): number };
  const home = table.homeOf(first);
  const found: number[] = [];
  for (let ip = first; found.length < count; ip++) if (table.homeOf(ip) === home) found.push(ip);
  return found;
}
