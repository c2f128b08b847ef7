/** The neighbour table against a Map: any sequence of writes, addresses that collide, time that wraps. */
import { NeighbourState } from '../../../rings/neighbour-reader.js';
import { NeighbourTable, NO_VICTIM } from '../../../rings/neighbour-table.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const { FREE, REACHABLE, STALE, STATIC } = NeighbourState;
const MAX_ACTIONS = 96;
const CAPACITIES = [1, 3, 8, 16];

interface Entry {
  state: number;
  mac: number;
  confirmedAt: number;
  knownFor: number;
}

export const neighbours: FuzzTarget = {
  name: 'neighbours',
  summary: 'any sequence of writes to the neighbour table, with collisions, until it is full: as a map would have it',
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
      const table = new NeighbourTable(words.buffer, 0, capacity, 1 + input.u8());
      model.clear();
      let now = input.bool() ? 0xffff_ff00 : 0;
      let full = 0;

      /** Nobody else changes because of an insertion, and it fails only where there is no room. */
      const insert = (ip: number, address: number, state: number, value: number): void => {
        const old = model.get(ip);
        const isEntered =
          state === STATIC ? table.setStatic(address, mac, 0, now) : table.confirm(address, mac, 0, now);
        if (!isEntered) {
          full++;
          check(old === undefined && model.size === capacity, 'no room, but it is there or the table is not full');
          return;
        }
        check(old !== undefined || model.size < capacity, 'more entries than there is room for');
        if (old?.state === STATIC && state !== STATIC) return;
        const knownFor = old === undefined ? 0 : old.knownFor + ((now - old.confirmedAt) >>> 0);
        model.set(ip, { state, mac: value, confirmedAt: now, knownFor });
      };

      const checkVictim = (proven: number): void => {
        const ip = table.victim(now, proven);
        const victim = model.get(ip);
        check((ip === NO_VICTIM) === (victim === undefined), 'who would go is not there');
        const age = ({ confirmedAt }: Entry): number => (now - confirmedAt) >>> 0;
        const others = [...model.values()].filter(({ state }) => state !== STATIC);
        check((victim === undefined) === (others.length === 0), 'somebody could go, or nobody');
        if (victim === undefined) return;
        check(victim.state !== STATIC, 'a static one would go');
        const unproven = others.filter(({ knownFor }) => knownFor < proven);
        if (unproven.length === 0) check(!others.some((other) => age(other) > age(victim)), 'an older one would stay');
        else check(victim.knownFor < proven, 'a proven one would go before one that is not');
        const known = (entry: Entry): number => age(entry) + entry.knownFor;
        const isNewer = unproven.some((other) => known(other) < known(victim));
        check(unproven.length === 0 || unproven.length > 8 || !isNewer, 'one that came later would stay');
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
          case 3:
            insert(ip, address, REACHABLE, value);
            break;
          case 2:
            // Not more than leaves room for others.
            if (value < 64) insert(ip, address, STATIC, value);
            break;
          case 4: {
            table.markStale(address);
            const entry = model.get(ip);
            if (entry?.state === REACHABLE) entry.state = STALE;
            break;
          }
          case 5:
            checkVictim(value * value);
            break;
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
        const word = expected === undefined ? 0 : expected.mac | 0x100;
        check(mac[0] === word && mac[1] === word && mac[2] === word, 'another MAC');
        check(
          table.count === model.size && model.size <= capacity,
          `${table.count} entries, ${model.size} in the model`,
        );
      }
      // All are there, wherever others came and went; and nobody else.
      for (const [ip, { state }] of model) check(table.lookup(ip, mac) === state, 'an entry is lost');
      let visited = 0;
      table.forEach((ip, state, _mac, confirmedAt, knownFor) => {
        visited++;
        const entry = model.get(ip);
        check(entry?.state === state, 'visited what is not there');
        check(entry!.confirmedAt === confirmedAt && entry!.knownFor === knownFor, 'another time');
      });
      check(visited === model.size, `${visited} entries visited of ${model.size}`);
      feedback.mark((which * 4 + Math.min(3, full)) * 17 + model.size);
    };
    return { run };
  },
};
