/**
 * Many flows at once in each thread layout, over the embedded switch: each flow stays on one core and in order, nothing
 * comes twice, and nothing is lost that no counter shows. Also with a core that stands still or fails, and with a
 * switch that is killed.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import type { FlowResult } from '../support/flows/flow-generator.app.js';
import { FlowNetwork, totalsOf } from '../support/flows/flow-network.js';
import { BLOCK, KEEP, THROW } from '../support/flows/flow-packet.js';
import { ALL_MODES, CORE_MODES, MODES, stackCores, withCores } from '../support/threads/modes.js';

const LIMIT = { timeout: 90_000 };
/** What no run may show, whatever happens to its packets. */
const ORDERLY = { disorder: 0, unexpected: 0, corrupt: 0 };

describe('flows through', () => {
  let network: FlowNetwork;

  beforeEach(async () => {
    network = await FlowNetwork.open();
  });

  afterEach(async () => {
    await network.close();
  });

  /**
   * Expects that what was given up is what the reflector's stacks kept or could not send, and what a counter of the
   * three programs says was dropped. Stops both endpoints.
   */
  async function expectAccounted({ lost }: FlowResult, reflector: Child, generator: Child): Promise<void> {
    const { summary } = await network.switchStats();
    const { all, drops } = await totalsOf(reflector);
    expect(all).toMatchObject({ disorder: 0, misplaced: 0, corrupt: 0 });
    const { drops: received } = await totalsOf(generator);
    const counted = [
      summary.dropped.full,
      all.ring_full,
      all.kept,
      ...Object.values(drops),
      ...Object.values(received),
    ];
    expect(lost, reflector.output).toBe(counted.reduce<number>((sum, count) => sum + (count ?? 0), 0));
  }

  describe.each(ALL_MODES)('mode %s', (mode) => {
    it('stay in order and on one core both ways, and lose nothing that fits the rings', LIMIT, async () => {
      const reflector = await network.startReflector(...MODES[mode]);
      const result = await network.run({ flows: 128, window: 4, packets: 40_000 });
      expect(result).toMatchObject({ ...ORDERLY, lost: 0, moved: 0, sent: result.answered });
      expect(result.cores).toHaveLength(stackCores(mode));
      const { all, cores } = await totalsOf(reflector);
      expect(all).toMatchObject({ packets: result.answered, flows: 128, disorder: 0, misplaced: 0, corrupt: 0 });
      expect(cores.map(({ packets }) => packets)).toEqual(result.cores);
      // 128 flows over two cores: one of them has less than a quarter with a chance of 1 in 10^9. The ports are always
      // the same.
      for (const { flows = 0 } of cores) expect(flows).toBeGreaterThanOrEqual(128 / stackCores(mode) / 2);
    });

    it('under too much load lose only what counters show, and keep their order', LIMIT, async () => {
      const reflector = await network.startReflector(...MODES[mode], '--buffers', '1024');
      const generator = await network.startGenerator({ flows: 512, window: 8, packets: 60_000 });
      const result = await network.result(generator);
      expect(result).toMatchObject({ ...ORDERLY, moved: 0 });
      await expectAccounted(result, reflector, generator);
    });

    it('go on when the switch was killed under load and is back', LIMIT, async () => {
      const reflector = await network.startReflector(...MODES[mode]);
      const generator = await network.startGenerator({ flows: 64, window: 4, packets: 40_000, give_up_ms: 5000 });
      await generator.waitFor(/^answered 5\d{3}$/m);
      await network.killSwitch();
      await Promise.all([reflector, generator].map((child) => child.waitFor(/link down: .*the backend hung up/)));
      await network.startSwitch();
      await Promise.all([reflector, generator].map((child) => child.waitFor(/link up: .* is back/)));
      const result = await network.result(generator);
      expect(result).toMatchObject({ ...ORDERLY, moved: 0 });
      const { all } = await totalsOf(reflector);
      expect(all).toMatchObject({ disorder: 0, misplaced: 0, corrupt: 0 });
    });
  });

  describe.each(CORE_MODES)('mode %s', (mode) => {
    it('wait while their core stands still; flows of other cores go on', LIMIT, async () => {
      const reflector = await network.startReflector(...withCores(mode, 3));
      const order = { order: BLOCK + 500, order_every: 5000, orders: 2 };
      const result = await network.run({ flows: 96, window: 8, packets: 40_000, ...order });
      expect(result).toMatchObject({ ...ORDERLY, moved: 0, orders: 2, lost: 0 });
      const { all } = await totalsOf(reflector);
      expect(all).toMatchObject({ packets: result.answered, disorder: 0, misplaced: 0, corrupt: 0 });
    });

    it.each([
      ['that stands still until its queue is full', BLOCK + 700],
      ['that returns no buffers', KEEP],
    ])('of the other cores go on beside one %s; what it loses is counted', LIMIT, async (_, order) => {
      const reflector = await network.startReflector(...withCores(mode, 3), '--buffers', '1536');
      const options = { flows: 96, window: 16, packets: 30_000, give_up_ms: 2000, order, order_every: 5000 };
      const generator = await network.startGenerator(options);
      const result = await network.result(generator);
      expect(result).toMatchObject({ ...ORDERLY, moved: 0, orders: 1 });
      expect(result.lost).toBeGreaterThan(0);
      await expectAccounted(result, reflector, generator);
    });

    it('move on when cores fail one after the other under load, until one is left', LIMIT, async () => {
      const reflector = await network.startReflector(...withCores(mode, 4));
      const orders = { order: THROW, order_every: 6000, orders: 3 };
      const [flows, window] = [96, 8];
      const generator = await network.startGenerator({ flows, window, packets: 80_000, give_up_ms: 2000, ...orders });
      const result = await network.result(generator);
      expect(reflector.output.match(/told to fail on core \d \(at .*\); the flows of core/g)).toHaveLength(3);
      expect(result).toMatchObject({ ...ORDERLY, orders: 3 });
      // Lost is only what was under way to a core that failed.
      expect(result.giveUps).toBeLessThanOrEqual(3);
      const { cores } = await totalsOf(reflector);
      expect(cores).toHaveLength(1);
    });
  });
});
