/** The neighbour table against a Map: any sequence of writes, addresses that collide, time that wraps. */
import { NeighbourState, NeighbourTable, NO_EVICTION, TABLE_FULL } from '../../../rings/neighbour-table.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const { FREE, INCOMPLETE, REACHABLE, STALE, STATIC } = NeighbourState;
const MAX_ACTIONS = 96;
const CAPACITIES = [1, 3, 8, 16];

interface Entry {
  state: number;
  mac: number;
  attempts: number;
}

export const neighbours: FuzzTarget = {
  name: 'neighbours',
  summary: 'any sequence of writes to the neighbour table, with collisions and evictions: as a map would have it',
  maxBytes: 512,
  prepare(feedback) {
    const buffers = CAPACITIES.map(
      (capacity) => new Int32Array(new SharedArrayBuffer(NeighbourTable.bytesFor(capacity))),
    );
    const mac = new Uint16Array(3);
    const model = new Map<number, Entry>();

    const run = (input: Input): void => {
      const which = input.below(CAPACITIES.length);
      const capacity = CAPACITIES[which]!;
      const words = buffers[which]!;
      words.fill(0);
      const table = new NeighbourTable(words.buffer, 0, capacity);
      model.clear();
      let now = input.bool() ? 0xffff_ff00 : 0;
      let evictions = 0;
      let full = 0;

      /** What the table says of an insertion is what happens to the model. */
      const inserted = (ip: number, result: number, entry: Entry): void => {
        const old = model.get(ip);
        if (old !== undefined) {
          check(result === NO_EVICTION, 'something was evicted for an entry that is there');
          if (old.state !== STATIC || entry.state === STATIC) model.set(ip, entry);
          return;
        }
        if (result === TABLE_FULL) {
          full++;
          for (const other of model.values()) check(other.state === STATIC, 'full, but not of static entries');
          return;
        }
        if (result !== NO_EVICTION) {
          evictions++;
          const victim = model.get(result >>> 0);
          check(victim !== undefined && victim.state !== STATIC, 'what was evicted was not there, or static');
          model.delete(result >>> 0);
        }
        model.set(ip, entry);
      };

      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        const what = input.u8();
        // A few addresses, so that they are met again; the others anywhere.
        const ip = ((what & 8) === 0 ? 0x0a00_0000 + (input.u8() & 31) : input.u32()) >>> 0;
        const address = (what & 0x10) === 0 ? ip : ip | 0;
        const value = input.u8();
        mac.fill(value | 0x100);
        switch (what & 7) {
          case 0:
          case 1:
            inserted(ip, table.confirm(address, mac, 0, now), { state: REACHABLE, mac: value, attempts: 0 });
            break;
          case 2:
            // Not more than leaves room for others.
            if (value < 64)
              inserted(ip, table.setStatic(address, mac, 0, now), { state: STATIC, mac: value, attempts: 0 });
            break;
          case 3:
            inserted(ip, table.markIncomplete(address, now), { state: INCOMPLETE, mac: 0, attempts: 0 });
            break;
          case 4: {
            table.markStale(address);
            const entry = model.get(ip);
            if (entry?.state === REACHABLE) entry.state = STALE;
            break;
          }
          case 5: {
            const entry = model.get(ip);
            const attempts = table.recordAttempt(address);
            check(attempts === (entry === undefined ? 0 : ++entry.attempts), `${attempts} attempts`);
            break;
          }
          case 6:
            check(table.remove(address) === model.delete(ip), 'removed what was not there, or the reverse');
            break;
          default:
            now = (now + value * value) >>> 0;
        }
        mac.fill(0);
        const expected = model.get(ip);
        const state = table.lookup(address, mac);
        check(state === (expected?.state ?? FREE), `state ${state}`);
        const hasMac = state !== FREE && state !== INCOMPLETE;
        check(mac[0] === (hasMac ? expected!.mac | 0x100 : 0) && mac[1] === mac[0] && mac[2] === mac[0], 'another MAC');
        check(
          table.count === model.size && model.size <= capacity,
          `${table.count} entries, ${model.size} in the model`,
        );
      }
      let visited = 0;
      table.forEach((ip, state) => {
        visited++;
        check(model.get(ip)?.state === state, 'visited what is not there');
      });
      check(visited === model.size, `${visited} entries visited of ${model.size}`);
      feedback.mark(((which * 8 + Math.min(7, evictions)) * 4 + Math.min(3, full)) * 17 + model.size);
    };
    return { run };
  },
};
