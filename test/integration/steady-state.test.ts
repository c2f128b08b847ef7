import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import type { SteadyState } from '../support/steady-state.worker.js';

const WORKER = fileURLToPath(new URL('../../dist/test/support/steady-state.worker.js', import.meta.url));
const PACKETS = 10_000_000;

describe('in steady state', () => {
  it('ten million packets through driver, layer and echo cost no allocation and no scavenge', {
    timeout: 120_000,
  }, async () => {
    const child = Child.spawn(process.execPath, ['--expose-gc', WORKER, String(PACKETS)]);
    const { code } = await child.exited;
    expect(code, child.output).toBe(0);
    const state = JSON.parse(child.stdout) as SteadyState;
    expect(state.echoed).toBeGreaterThanOrEqual(PACKETS);
    expect(state.scavenges).toBe(0);
    // What the runtime itself keeps (compiled code, timers), not 0.01 byte a packet.
    expect(state.heapAfter - state.heapBefore).toBeLessThan(100_000);
  });
});
