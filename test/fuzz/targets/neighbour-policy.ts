/**
 * Who is asked for, believed and given up, with strangers who do what they like: whoever is known and in use stays known, what
 * is asked is bounded, and every question that was taken is answered.
 */
import { NeighbourState } from '../../../rings/neighbour-reader.js';
import { NeighbourTable } from '../../../rings/neighbour-table.js';
import { createL2Counters, L2 } from '../../../src/counters.js';
import { ASKS_AT_ONCE, ASKS_PER_SECOND } from '../../../src/link/neighbours/ask-limit.js';
import { MAX_INCOMPLETE, Neighbours, RESOLVE_BEGUN, RESOLVE_REFUSED } from '../../../src/link/neighbours/neighbours.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const { FREE, STALE, STATIC } = NeighbourState;
const CAPACITY = 12;
const MAX_ACTIONS = 64;
/** Stations that answer ARP at once and are sent a packet at least every {@link MOST_WAIT_MS}. */
const HONEST = [1, 2, 3].map((n) => 0x0a00_0000 + n);
const CONFIGURED = 0x0a00_0009;
const STRANGERS = 0x0a00_0100;
const MOST_WAIT_MS = 4096;
const PROVEN_MS = 30_000;
/** In which every question is answered, or given up. */
const PATIENCE_MS = 8000;

export const neighbourPolicy: FuzzTarget = {
  name: 'neighbour-policy',
  summary: 'strangers that ask, answer, send and fall silent: neighbours in use stay known, questions are bounded',
  maxBytes: 512,
  prepare(feedback) {
    const buffer = new SharedArrayBuffer(NeighbourTable.bytesFor(CAPACITY));
    const counters = createL2Counters();
    const { values } = counters;
    const mac = Uint16Array.of(0x5452, 0, 1);
    const scratch = new Uint16Array(3);

    const run = (input: Input): void => {
      new Int32Array(buffer).fill(0);
      values.fill(0);
      const start = 1000;
      let now = start;
      let asked = 0;
      let isCrowded = false;
      const table = new NeighbourTable(buffer, 0, CAPACITY, 1 + input.u8());
      const waiting = new Set<number>();
      const proven = new Set<number>();
      const toAnswer: number[] = [];
      const stateOf = (ip: number): number => table.lookup(ip, scratch);
      const request = (ip: number, to: Uint16Array): void => {
        // Those in the table are asked without limit: there are few.
        if (stateOf(ip) === FREE) asked++;
        check(ip !== CONFIGURED, 'a static neighbour is asked');
        check(to[0] === 0xffff || to[0] === mac[0], 'asked at nobody’s address');
        if (HONEST.includes(ip)) toAnswer.push(ip);
      };
      const settled = (ip: number): void => check(waiting.delete(ip), 'an answer that nobody waits for');
      const neighbours = new Neighbours(table, { request }, counters, () => now, {
        resolved: settled,
        failed: settled,
      });
      neighbours.addStatic(CONFIGURED, mac);
      const packetTo = (ip: number): void => {
        const state = stateOf(ip);
        if (state === STALE) neighbours.reconfirm(ip);
        if (state !== FREE) return;
        const began = neighbours.resolve(ip);
        check((began === RESOLVE_BEGUN) !== (waiting.has(ip) || began === RESOLVE_REFUSED), 'asked twice, or never');
        if (began === RESOLVE_BEGUN) waiting.add(ip);
      };
      const hear = (ip: number, mayLearn: boolean): void => {
        let newcomers = 0;
        table.forEach((_ip, state, _mac, _confirmedAt, knownFor) => {
          if (state !== STATIC && knownFor < PROVEN_MS) newcomers++;
        });
        if (table.isFull && newcomers === 0) isCrowded = true;
        neighbours.hear(ip, mac, 0, mayLearn);
      };
      const answers = (): void => {
        for (const ip of toAnswer.splice(0)) hear(ip, false);
      };
      const pass = (ms: number): void => {
        now += ms;
        neighbours.tick(now);
        for (const ip of HONEST) {
          packetTo(ip);
          answers();
        }
      };
      /** Who was confirmed again after half a minute stays, as long as there was anybody else to give up. */
      const checkKnown = (): void => {
        for (const ip of proven) check(isCrowded || stateOf(ip) !== FREE, 'a neighbour in use was forgotten');
        isCrowded = false;
        proven.clear();
        table.forEach((ip, _state, _mac, _confirmedAt, knownFor) => {
          if (knownFor >= PROVEN_MS && HONEST.includes(ip)) proven.add(ip);
        });
      };

      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        const what = input.u8();
        const many = 1 + (what >>> 3);
        const ip = STRANGERS + (input.u8() << 5);
        for (let i = 0; i < many; i++) {
          switch (what & 7) {
            case 0:
            case 1:
              packetTo(ip + i);
              break;
            case 2:
              hear(ip + i, true);
              break;
            case 3:
              hear(ip + i, false);
              break;
            case 4:
              packetTo(ip + i);
              hear(ip + i, false);
              break;
            case 5:
              pass(MOST_WAIT_MS);
              break;
            default:
              pass(8);
          }
        }
        answers();
        checkKnown();
        check(waiting.size <= MAX_INCOMPLETE, `${waiting.size} are asked for`);
        check(table.count <= CAPACITY && stateOf(CONFIGURED) === STATIC, 'the static neighbour is gone');
        check(asked <= ASKS_AT_ONCE + ((now - start) * ASKS_PER_SECOND) / 1000, `${asked} requests`);
      }
      const { arp_evicted, arp_replaced, arp_limited, arp_gave_up } = L2;
      let state = 0;
      for (const index of [arp_evicted, arp_replaced, arp_limited, arp_gave_up]) {
        state = state * 4 + Math.min(3, values[index]!);
      }
      feedback.mark(state * 16 + table.count);
      for (let ms = 0; ms < PATIENCE_MS; ms += 1000) pass(1000);
      check(waiting.size === 0, `${waiting.size} questions are open for ever`);
    };
    return { run };
  },
};
