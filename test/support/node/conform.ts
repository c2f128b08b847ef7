/** Makes tests of scenarios: each runs over the kernel and over the stack, and all runs must look the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CabledHosts, openCabledHosts } from './cabled-hosts.js';
import { runOnKernel, runOnOneHost, runOnStack, type Scenario } from './scenario.js';

export function conform(title: string, scenarios: readonly Scenario[]): void {
  describe(title, () => {
    let hosts: CabledHosts;
    beforeAll(async () => {
      hosts = await openCabledHosts();
    });
    afterAll(async () => {
      await hosts.close();
      // Nothing is left of the scenarios.
      for (const { open, refs } of [hosts.client, hosts.server])
        expect([open.size, refs.isReferenced]).toEqual([0, false]);
    });

    for (const scenario of scenarios) {
      it(scenario.title, async () => {
        const kernel = await runOnKernel(scenario);
        const stack = await runOnStack(hosts, scenario);
        expect(stack).toEqual(kernel);
        expect(await runOnOneHost(hosts, scenario)).toEqual(kernel);
        expect(Object.keys(kernel).length).toBeGreaterThan(0);
      });
    }
  });
}
