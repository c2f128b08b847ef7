import { describe, expect, it } from 'vitest';
import { RING_HEAD, RING_TAIL } from '../../../../../../src/tcpip/tcp/state/rows.js';
import { randomNetwork } from '../../../../../support/tcpip/random-network.js';

describe('Recovery on random paths', () => {
  for (let block = 0; block < 6; block++) {
    it(`delivers everything and keeps its sums, schedules ${block * 50} to ${block * 50 + 49}`, () => {
      for (let seed = block * 50; seed < block * 50 + 50; seed++) {
        const net = randomNetwork(seed);
        net.check = () => {
          const counted = net.recount();
          const sums = net.sums();
          const segments = net.options.sack === false ? sums.sackedSegments : counted.sackedSegments;
          // Plain comparisons, because `expect` per step takes most of the time.
          if (
            sums.pipe !== counted.pipe ||
            sums.lost !== counted.lost ||
            sums.sacked !== counted.sacked ||
            sums.sackedSegments !== segments ||
            segments > counted.records ||
            net.cwnd < net.mss / 2 ||
            net.cwnd > 1 << 30 ||
            (counted.records > 0 && net.deadline === null)
          ) {
            throw new Error(`seed ${seed}: ${JSON.stringify({ sums, counted, cwnd: net.cwnd, timer: net.deadline })}`);
          }
        };
        expect(net.run(1e8), `seed ${seed}`).toBe(true);
        expect(net.regions.used).toBe(0);
        expect(net.rows.i32[net.r + RING_HEAD]).toBe(net.rows.i32[net.r + RING_TAIL]);
        expect(net.deadline).toBeNull();
      }
    });
  }
});
