import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import type { SteadyState } from '../support/threads/steady-state.worker.js';

const WORKER = fileURLToPath(new URL('../../dist/test/support/threads/steady-state.worker.js', import.meta.url));
const PACKETS = 10_000_000;

/** What the runtime itself keeps (compiled code, timers), in bytes: less than 0.01 per packet. */
const HEAP_GROWTH = 100_000;

async function run(traffic: string): Promise<SteadyState> {
  const child = Child.spawn(process.execPath, ['--expose-gc', WORKER, String(PACKETS), traffic]);
  const { code } = await child.exited;
  expect(code, child.output).toBe(0);
  return JSON.parse(child.stdout) as SteadyState;
}

const isSteady = ({ scavenges, heapBefore, heapAfter }: SteadyState): boolean =>
  scavenges === 0 && heapAfter - heapBefore < HEAP_GROWTH;

describe('in steady state', () => {
  it.each([
    ['driver, layer and echo', 'plain'],
    ['the same in several buffers, with segments by the device,', 'chains'],
    ['the same with segments by the layer', 'software'],
  ])(
    'ten million packets through %s allocate nothing',
    {
      timeout: 300_000,
    },
    async (_, traffic) => {
      let state = await run(traffic);
      // V8 may compile a loop once more in the middle of a run, on a busy machine late. A cost per packet would show in
      // each run.
      for (let again = 0; again < 2 && !isSteady(state); again++) state = await run(traffic);
      expect(state.echoed).toBeGreaterThanOrEqual(PACKETS);
      expect(state.scavenges).toBe(0);
      expect(state.heapAfter - state.heapBefore).toBeLessThan(HEAP_GROWTH);
    },
  );
});
