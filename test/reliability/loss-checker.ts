/** Checks the traffic of a testbed while its processes come and go: what was sent, answered and lost, and what the switch counted. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerTallies } from './tallies.js';
import { faultsOf, switchFaultsOf, type Testbed } from './testbed.js';

/** How long traffic may take to flow again, or to come to rest, on a machine that is busy. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 10;
/** How long to wait for answers that are late, not lost. */
const LATE_MS = 3_000;
/** What an endpoint writes when its backend is back. */
const LINK_UP = /^tspmd: link up: /m;

export type Pairs = Map<string, PeerTallies>;

export class LossChecker {
  /** What was wrong, one line each. */
  readonly violations: string[] = [];
  /** Totals of endpoints that are gone. */
  private past = { answered: 0, missing: 0 };

  /** @param isSpared whether no request of endpoint `from` to endpoint `to` may ever be lost */
  constructor(
    private readonly testbed: Testbed,
    private readonly isSpared: (from: number, to: number) => boolean,
  ) {}

  /** The length of each endpoint's output until now, for {@link linked}. */
  links(): ReadonlyMap<number, number> {
    const { testbed } = this;
    return new Map(
      testbed.running().map((endpoint) => [endpoint, testbed.child(`endpoint ${endpoint}`).output.length]),
    );
  }

  /** Resolves when each endpoint has written since `links` that its link is up again. No packet is needed for that. */
  async linked(links: ReadonlyMap<number, number>): Promise<void> {
    await this.until('everybody has its link back', async () =>
      [...links].every(([endpoint, length]) =>
        LINK_UP.test(this.testbed.child(`endpoint ${endpoint}`).output.slice(length)),
      ),
    );
  }

  /** Resolves when everybody has had an answer from everybody. */
  async flowing(): Promise<void> {
    const { testbed } = this;
    testbed.control.go();
    const before = await testbed.pairs();
    await this.until('everybody answers everybody', async () => {
      const now = await testbed.pairs();
      return [...now].every(([pair, { answered }]) => answered > (before.get(pair)?.answered ?? 0));
    });
  }

  /** Stops the traffic; resolves when no request is under way and the counters were checked. */
  async rest(): Promise<Pairs> {
    const { testbed, violations } = this;
    testbed.control.pause();
    let pairs: Pairs = new Map();
    await this.until('the traffic comes to rest', async () => {
      pairs = await testbed.pairs();
      return [...pairs.values()].every(({ waiting }) => waiting === 0);
    });
    for (const [pair, { sent, answered, missing }] of pairs) {
      if (sent !== answered + missing) violations.push(`${pair}: ${sent} is not ${answered} + ${missing}`);
      const [from = 0, to = 0] = pair.split('>').map(Number);
      if (missing > 0 && this.isSpared(from, to)) await this.expectNoneMissing(pair, 0);
    }
    if (testbed.options.hub === 'switch') violations.push(...switchFaultsOf(await testbed.switchStats()));
    for (const endpoint of testbed.running()) {
      violations.push(...faultsOf(`endpoint ${endpoint}`, (await testbed.control.report(endpoint)).tallies));
    }
    return pairs;
  }

  /** Lets traffic flow for a while with all endpoints there: nothing may be lost. Begins and ends at rest. */
  async load(ms: number): Promise<void> {
    const before = await this.testbed.pairs();
    this.testbed.control.go();
    await sleep(ms);
    const pairs = await this.rest();
    for (const pair of pairs.keys()) await this.expectNoneMissing(pair, before.get(pair)?.missing ?? 0);
  }

  /** Remembers what an endpoint that is about to go has seen. */
  async remember(endpoint: number): Promise<void> {
    const { peers } = await this.testbed.control.report(endpoint);
    for (const { answered, missing } of Object.values(peers)) {
      this.past.answered += answered;
      this.past.missing += missing;
    }
  }

  /** Stops an endpoint by SIGTERM, and checks what it says at its end. */
  async dismiss(endpoint: number): Promise<void> {
    await this.remember(endpoint);
    this.violations.push(...(await this.testbed.dismiss(endpoint)));
  }

  /** Totals of all endpoints, those that are gone included. */
  async totals(): Promise<{ answered: number; missing: number }> {
    const totals = { ...this.past };
    for (const { answered, missing } of (await this.testbed.pairs()).values()) {
      totals.answered += answered;
      totals.missing += missing;
    }
    return totals;
  }

  private async expectNoneMissing(pair: string, before: number): Promise<void> {
    const end = performance.now() + LATE_MS;
    for (;;) {
      const missing = (await this.testbed.pairs()).get(pair)?.missing ?? 0;
      if (missing <= before) return;
      if (performance.now() > end) {
        this.violations.push(`${pair}: ${missing - before} lost although nobody on the way was away`);
        return;
      }
      await sleep(LOOK_MS);
    }
  }

  private async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
      if (performance.now() > end) {
        const outputs = [...this.testbed.pids().keys()].map((name) => `${name}:\n${this.testbed.child(name).output}`);
        throw new Error(`${what}: not within ${PATIENCE_MS} ms\n${outputs.join('\n')}`);
      }
      await sleep(LOOK_MS);
    }
  }
}
