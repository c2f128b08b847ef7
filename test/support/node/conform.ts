/** Makes tests of scenarios: each runs twice, and both runs must look the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CabledHosts, openCabledHosts } from './cabled-hosts.js';
import { runOnKernel, runOnStack, type Scenario } from './scenario.js';

export function conform(title: string, scenarios: readonly Scenario[]): void {
  describe(title, () => {
    let hosts: CabledHosts;
    beforeAll(async () => {
      hosts = await openCabledHosts();
    });
    afterAll(() => hosts.close());

    for (const scenario of scenarios) {
      it(scenario.title, async () => {
        const kernel = await runOnKernel(scenario);
        const stack = await runOnStack(hosts, scenario);
        expect(stack).toEqual(kernel);
        expect(Object.keys(kernel).length).toBeGreaterThan(0);
      });
    }
  });
}
