/** What `npm run soak` does, and a short test too. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { ALL_MODES, MODES, type Mode } from '../support/threads/modes.js';
import { growthOf, type Sample, tooMuch } from './growth.js';
import { leaksBetween, type Stock, takeStock } from './readings.js';
import { thousands } from './report.js';
import { Scene } from './scene.js';
import { Watch } from './watch.js';

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
  /** How memory has grown, in words. */
  readonly memory: string;
  readonly violations: readonly string[];
}

/** They stay for as long as a layout has its turn; endpoint 3 comes and goes. */
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

export class Soak {
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
    const scene = await Scene.open({ hub: 'switch', endpoints: 3 });
    // What the steady ones ask of each other may not be lost, whatever becomes of the third.
    const watch = new Watch(scene, (from, to) => STEADY.includes(from) && STEADY.includes(to));
    this.started = performance.now();
    try {
      for (const [i, mode] of ALL_MODES.entries()) {
        if (this.isOver(watch)) break;
        await this.soakMode(scene, watch, mode, this.started + (ms * (i + 1)) / ALL_MODES.length);
      }
      const { answered, missing } = await watch.totals();
      const { kills, terms } = this;
      const memory = this.growths.join('; ');
      const took = performance.now() - this.started;
      return { ms: took, answered, lost: missing, kills, terms, memory, violations: watch.violations };
    } finally {
      await scene.close();
    }
  }

  private isOver(watch: Watch): boolean {
    return this.options.stop?.aborted === true || watch.violations.length >= MAX_VIOLATIONS;
  }

  private async soakMode(scene: Scene, watch: Watch, mode: Mode, end: number): Promise<void> {
    const args = MODES[mode];
    for (const endpoint of [...STEADY, GUEST]) await scene.startEndpoint(endpoint, { args });
    await watch.flowing();
    const steady = new Map([...scene.pids()].filter(([name]) => name !== `endpoint ${GUEST}`));
    const samples: Sample[] = [];
    let baseline: Stock | null = null;
    do {
      await this.comeAndGo(scene, watch, mode);
      await watch.rest();
      await watch.load(this.loadMs());
      for (const [name, pid] of steady) {
        if (scene.pids().get(name) !== pid) throw new Error(`${name} ended:\n${scene.child(name).output}`);
      }
      const stock = await takeStock(scene, steady);
      baseline ??= stock;
      samples.push(this.sampleOf(stock));
      await this.tell(scene, watch, mode, samples.at(-1)!);
      if (performance.now() >= end) watch.violations.push(...leaksBetween(baseline, stock));
    } while (performance.now() < end && !this.isOver(watch));
    this.growths.push(`${mode}: ${growthOf(samples)}`);
    watch.violations.push(...tooMuch(samples).map((line) => `${mode}: ${line}`));
    for (const endpoint of scene.running()) await watch.dismiss(endpoint);
  }

  /** Endpoint 3 goes, one way or the other, under load, and comes back as another one. */
  private async comeAndGo(scene: Scene, watch: Watch, mode: Mode): Promise<void> {
    const { random } = this;
    scene.conductor.go();
    await sleep(this.loadMs());
    if (random.below(2) === 0) {
      this.kills++;
      await watch.remember(GUEST);
      await scene.end(`endpoint ${GUEST}`, 'SIGKILL');
    } else {
      this.terms++;
      await watch.dismiss(GUEST);
    }
    await sleep(random.below(AWAY_RANGE_MS));
    await scene.startEndpoint(GUEST, { args: MODES[mode] });
    await watch.flowing();
  }

  private loadMs(): number {
    return LOAD_MS + this.random.below(this.options.ms < SHORT_MS ? SHORT_RANGE_MS : LOAD_RANGE_MS);
  }

  private sampleOf({ readings, heaps }: Stock): Sample {
    const heap = STEADY.reduce((sum, endpoint) => sum + (heaps.get(endpoint) ?? 0), 0);
    const own = (name: string): number => readings.get(name)?.ownKb ?? 0;
    const endpointsKb = STEADY.reduce((sum, endpoint) => sum + own(`endpoint ${endpoint}`), 0);
    return { ms: performance.now() - this.started, heapKb: heap / 1024, endpointsKb, switchKb: own('hub') };
  }

  private async tell(scene: Scene, watch: Watch, mode: Mode, last: Sample): Promise<void> {
    const now = performance.now();
    if (now - this.toldAt < TELL_MS) return;
    this.toldAt = now;
    const { answered, missing } = await watch.totals();
    const kb = (value: number): string => `${thousands(value)} KiB`;
    this.options.tell?.(
      `${((now - this.started) / 60_000).toFixed(1)} min, mode ${mode}: ${thousands(answered)} answered, ${missing} lost around ` +
        `${this.kills + this.terms} ends; heaps ${kb(last.heapKb)}, endpoints ${kb(last.endpointsKb)}, switch ${kb(last.switchKb)}; ` +
        `${watch.violations.length} violations; ${scene.running().length} endpoints`,
    );
  }
}
