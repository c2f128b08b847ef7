import { describe, expect, it } from 'vitest';
import { RING_HEAD, RING_TAIL } from '../../../../../../src/tcpip/tcp/state/rows.js';
import { RecoveryNetwork } from '../../../../../support/tcpip/recovery-network.js';

/** A small generator of random numbers from 0 to 1, the same for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / (1 << 24);
  };
}

function network(seed: number): RecoveryNetwork {
  const next = random(seed * 7919 + 1);
  const oneOf = (...values: number[]) => values[Math.floor(next() * values.length)]!;
  const loss = oneOf(0, 0.01, 0.05, 0.2, 0.4);
  const ackLoss = oneOf(0, 0.05, 0.3);
  const delay = oneOf(0.05, 1, 10, 80);
  const jitter = oneOf(0, 0, 0.3, 1.5) * delay;
  return new RecoveryNetwork({
    sack: next() < 0.75,
    timestamps: next() < 0.5,
    dsack: next() < 0.7,
    reno: next() < 0.3,
    iss: next() < 0.5 ? 0x7ffffff0 - Math.floor(next() * 50_000) : -Math.floor(next() * 50_000),
    mss: oneOf(100, 536, 1460),
    bytes: Math.floor(next() * 60_000) + 1,
    window: next() < 0.5 ? 1 << 28 : 20_000,
    ...(next() < 0.5 ? { rate: 1000, queueMs: 20 } : {}),
    delay,
    drop: () => next() < loss,
    dropAck: () => next() < ackLoss,
    jitter: () => (next() < 0.2 ? next() * jitter : 0),
  });
}

describe('Recovery on random paths', () => {
  for (let block = 0; block < 6; block++) {
    it(`delivers everything and keeps its sums, schedules ${block * 50} to ${block * 50 + 49}`, () => {
      for (let seed = block * 50; seed < block * 50 + 50; seed++) {
        const net = network(seed);
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
