/** The bytes of `/bytes/N` of the app `http`, made by their definition: a pattern that repeats after 65,521 bytes. */
import { createHash } from 'node:crypto';
import { seedOf, writePattern } from '../../../src/apps/pattern.js';

const PERIOD = 65_521;
const period = Buffer.alloc(PERIOD);
writePattern(period, 0, PERIOD, seedOf(0));

/** The bytes `from` up to, but not including, `end`. */
export function patternBytes(from: number, end: number): Buffer {
  const start = Math.floor(from / PERIOD) * PERIOD;
  return Buffer.concat(Array<Buffer>(Math.ceil((end - start) / PERIOD)).fill(period)).subarray(
    from - start,
    end - start,
  );
}

/** SHA-256 of the first `count` bytes, as sha256sum prints it. */
export function patternHash(count: number): string {
  const hash = createHash('sha256');
  for (let left = count; left > 0; left -= PERIOD) hash.update(left < PERIOD ? period.subarray(0, left) : period);
  return hash.digest('hex');
}
