/** The run of `npm run soak`, and of its short form in `npm test`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { ALL_MODES, MODES, type Mode } from '../support/threads/modes.js';
import { LossChecker } from './loss-checker.js';
import { growthOf, type Sample, tooMuch } from './memory-growth.js';
import { leaksBetween, readResources, type TestbedResources } from './process-resources.js';
import { thousands } from './report.js';
import { Testbed } from './testbed.js';

export interface SoakOptions {
  readonly ms: number;
  readonly seed: number;
  readonly stop?: AbortSignal;
  readonly tell?: (line: string) => void;
}

export interface SoakResult {
  readonly ms: number;
  readonly answered: number;
  readonly lost: number;
  readonly kills: number;
  readonly terms: number;
  /** How memory grew, in words. */
  readonly memory: string;
  readonly violations: readonly string[];
}

/** They stay while a thread layout has its turn; endpoint 3 comes and goes. */
const STEADY = [1, 2];
const GUEST = 3;
/** Of traffic with everybody there, between two comings and goings. */
const LOAD_MS = 200;
const LOAD_RANGE_MS = 3000;
/** The load of a short run. */
const SHORT_RANGE_MS = 400;
const SHORT_MS = 60_000;
const AWAY_RANGE_MS = 1024;
const TELL_MS = 15_000;
const MAX_VIOLATIONS = 20;

export class SoakRun {
  private readonly random: Random;
  private kills = 0;
  private terms = 0;
  private started = 0;
  private toldAt = 0;
  /** How memory has grown, in words, by layout. */
  private readonly growths: string[] = [];

  constructor(private readonly options: SoakOptions) {
    this.random = new Random(options.seed);
  }

  async run(): Promise<SoakResult> {
    const { ms } = this.options;
    const testbed = await Testbed.open({ hub: 'switch', endpoints: 3 });
    // What the steady endpoints ask of each other may not be lost, whatever happens to the third.
    const checker = new LossChecker(testbed, (from, to) => STEADY.includes(from) && STEADY.includes(to));
    this.started = performance.now();
    try {
      for (const [i, mode] of ALL_MODES.entries()) {
        if (this.isOver(checker)) break;
        await this.soakMode(testbed, checker, mode, this.started + (ms * (i + 1)) / ALL_MODES.length);
      }
      const { answered, missing } = await checker.totals();
      const { kills, terms } = this;
      const memory = this.growths.join('; ');
      const took = performance.now() - this.started;
      return { ms: took, answered, lost: missing, kills, terms, memory, violations: checker.violations };
    } finally {
      await testbed.close();
    }
  }

  private isOver(checker: LossChecker): boolean {
    return this.options.stop?.aborted === true || checker.violations.length >= MAX_VIOLATIONS;
  }

  private async soakMode(testbed: Testbed, checker: LossChecker, mode: Mode, end: number): Promise<void> {
    const args = MODES[mode];
    for (const endpoint of [...STEADY, GUEST]) await testbed.startEndpoint(endpoint, { args });
    await checker.flowing();
    const steady = new Map([...testbed.pids()].filter(([name]) => name !== `endpoint ${GUEST}`));
    const samples: Sample[] = [];
    let baseline: TestbedResources | null = null;
    do {
      await this.comeAndGo(testbed, checker, mode);
      await checker.rest();
      await checker.load(this.loadMs());
      for (const [name, pid] of steady) {
        if (testbed.pids().get(name) !== pid) throw new Error(`${name} ended:\n${testbed.child(name).output}`);
      }
      const stock = await readResources(testbed, steady);
      baseline ??= stock;
      samples.push(this.sampleOf(stock));
      await this.tell(testbed, checker, mode, samples.at(-1)!);
      if (performance.now() >= end) checker.violations.push(...leaksBetween(baseline, stock));
    } while (performance.now() < end && !this.isOver(checker));
    this.growths.push(`${mode}: ${growthOf(samples)}`);
    checker.violations.push(...tooMuch(samples).map((line) => `${mode}: ${line}`));
    for (const endpoint of testbed.running()) await checker.dismiss(endpoint);
  }

  /** Endpoint 3 goes, one way or the other, under load, and comes back as another one. */
  private async comeAndGo(testbed: Testbed, checker: LossChecker, mode: Mode): Promise<void> {
    const { random } = this;
    testbed.control.go();
    await sleep(this.loadMs());
    if (random.below(2) === 0) {
      this.kills++;
      await checker.remember(GUEST);
      await testbed.end(`endpoint ${GUEST}`, 'SIGKILL');
    } else {
      this.terms++;
      await checker.dismiss(GUEST);
    }
    await sleep(random.below(AWAY_RANGE_MS));
    await testbed.startEndpoint(GUEST, { args: MODES[mode] });
    await checker.flowing();
  }

  private loadMs(): number {
    return LOAD_MS + this.random.below(this.options.ms < SHORT_MS ? SHORT_RANGE_MS : LOAD_RANGE_MS);
  }

  private sampleOf({ readings, heaps }: TestbedResources): Sample {
    const heap = STEADY.reduce((sum, endpoint) => sum + (heaps.get(endpoint) ?? 0), 0);
    const own = (name: string): number => readings.get(name)?.ownKb ?? 0;
    const endpointsKb = STEADY.reduce((sum, endpoint) => sum + own(`endpoint ${endpoint}`), 0);
    return { ms: performance.now() - this.started, heapKb: heap / 1024, endpointsKb, switchKb: own('hub') };
  }

  private async tell(testbed: Testbed, checker: LossChecker, mode: Mode, last: Sample): Promise<void> {
    const now = performance.now();
    if (now - this.toldAt < TELL_MS) return;
    this.toldAt = now;
    const { answered, missing } = await checker.totals();
    const kb = (value: number): string => `${thousands(value)} KiB`;
    this.options.tell?.(
      `${((now - this.started) / 60_000).toFixed(1)} min, mode ${mode}: ${thousands(answered)} answered, ${missing} lost around ` +
        `${this.kills + this.terms} ends; heaps ${kb(last.heapKb)}, endpoints ${kb(last.endpointsKb)}, switch ${kb(last.switchKb)}; ` +
        `${checker.violations.length} violations; ${testbed.running().length} endpoints`,
    );
  }
}
