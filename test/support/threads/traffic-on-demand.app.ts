/**
 * The demo's traffic, on one core, from the first line of standard input on; an echo until then. So two guests can
 * start at the same time, and neither has to wait for the start of the other.
 */
import { createInterface } from 'node:readline';
import createTraffic from '../../../scripts/demo/traffic.js';
import { createDemux } from '../../../src/apps/demux.js';
import { Echo } from '../../../src/apps/echo.js';
import type { Core } from '../../../src/link/core.js';
import type { Stack, StackOptions } from '../../../src/stack.js';

export default function createTrafficOnDemand(core: Core, options: StackOptions): Stack {
  let stack = createDemux(core, [new Echo(core)]);
  createInterface({ input: process.stdin }).once('line', () => {
    stack = createTraffic(core, options);
    core.wake();
  });
  return {
    poll: () => stack.poll(),
    maxSleepMs: () => stack.maxSleepMs?.() ?? Number.POSITIVE_INFINITY,
  };
}
