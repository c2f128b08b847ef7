/** Senders and receivers on random paths. */
import { RecoveryNetwork } from './recovery-network.js';

/** A small generator of random numbers from 0 to 1, the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / (1 << 24);
  };
}

/** A sender and a receiver on a path whose properties are random, the same for the same seed. */
export function randomNetwork(seed: number): RecoveryNetwork {
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
