/**
 * Packets of 0 to 64 KB in each thread layout, over the embedded switch and back, with every byte checked at both ends:
 * in one buffer and in many, with whole and with partial checksums, and GSO packets. Also where one of the ends has no
 * offloads: the switch or the layer below the stack then does in software what is missing.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { totalsOf } from '../support/flows/flow-network.js';
import { StreamNetwork, total } from '../support/streams/stream-network.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

const LIMIT = { timeout: 90_000 };
const BYTES = 16_000_000;
const FULL_FRAME = 1514;

describe('streams of packets of 0 to 64 KB', () => {
  let network: StreamNetwork;

  beforeEach(async () => {
    network = new StreamNetwork();
    await network.startSwitch();
  });

  afterEach(async () => {
    await network.close();
  });

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    it.each([
      ['auto', 'auto'],
      ['auto', 'off'],
      ['off', 'auto'],
    ] as const)('arrive and come back: offloads %s, at the other end %s', LIMIT, async (ours, theirs) => {
      const reflector = await network.startReflector('--offloads', theirs, '--ring', 'packed', ...MODES[mode]);
      const options = ['--offloads', ours, ...MODES[mode]];
      const results = await network.send(stackCores(mode), { bytes: BYTES }, ...options);
      const { ports } = await network.switchStats();
      const { all, drops } = await totalsOf(reflector);
      expect(drops).toEqual({});
      expect(all).toMatchObject({ corrupt: 0, foreign: 0, ring_full: 0 });
      const made = (kind: 'packets' | 'gso' | 'chains'): number => total(results, (result) => result.made[kind]);
      expect(made('gso')).toBeGreaterThan(100);
      expect(all.bytes).toBe(total(results, ({ sent }) => sent));
      const mean = Object.values(ports).map(({ inc }) => inc.bytes / inc.packets);
      if (ours === 'auto' && theirs === 'auto') {
        expect(all).toMatchObject({ packets: made('packets'), gso: made('gso') });
        expect(Math.min(...mean)).toBeGreaterThan(FULL_FRAME);
      } else {
        expect(all.packets).toBeGreaterThan(made('packets'));
        expect(all.gso).toBe(0);
      }
    });
  });
});
