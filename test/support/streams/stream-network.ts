/** A sender of streams and a reflector behind the two ports of the embedded switch, or a sender alone with another peer. */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { SwitchStats } from '../../../bess/stats.js';
import type { Child } from '../../../scripts/child.js';
import { TwoPortSwitch } from '../flows/two-port-switch.js';
import { parseSwitchStats } from '../observe/switch-stats.js';
import type { StreamResult } from './stream-sender.app.js';

const file = (name: string): string =>
  fileURLToPath(new URL(`../../../dist/test/support/streams/${name}.js`, import.meta.url));
const REFLECTOR = file('stream-reflector.app');
const SENDER = file('stream-sender.app');
const FRAMES = file('stream-frames.app');
/** How long all bytes of a sender may take on a busy machine. */
const STREAMS_MS = 60_000;
const RESULT = /^stream: (.*)$/gm;

export type StreamOptions = Readonly<Record<string, number | string>>;

const appOptions = (options: StreamOptions): string[] => [
  '--app-option',
  ...Object.entries(options).map(([name, value]) => `${name}=${value}`),
];

export class StreamNetwork extends TwoPortSwitch {
  /** Starts the reflector behind port 2. */
  async startReflector(...args: string[]): Promise<Child> {
    const child = this.tspmd('run', ...this.endpointWithMac(2), '--app', REFLECTOR, ...args);
    await child.waitFor(/^ready/m);
    return child;
  }

  /** Runs a sender behind port 1, with layer `ip`; returns the results of its cores. */
  send(cores: number, options: StreamOptions, ...args: string[]): Promise<StreamResult[]> {
    const app = ['--app', SENDER, ...appOptions({ to: '10.0.0.2', ...options })];
    return this.results(this.tspmd('run', ...this.endpointWithMac(1), ...app, ...args), cores);
  }

  /** Runs a sender of frames at a device; its peer sends each frame back. */
  sendFrames(device: readonly string[], options: StreamOptions, ...args: string[]): Promise<StreamResult[]> {
    const app = ['--app', FRAMES, ...appOptions({ to: '10.0.0.2', ...options })];
    return this.results(this.tspmd('run', ...device, ...app, ...args), 1);
  }

  private async results(sender: Child, cores: number): Promise<StreamResult[]> {
    // The last of the lines.
    await sender.waitFor(new RegExp(`(?:^stream: .*$[\\s\\S]*?){${cores}}`, 'm'), STREAMS_MS);
    const results = [...sender.stdout.matchAll(RESULT)].map(([, json = '']) => JSON.parse(json) as StreamResult);
    const exit = await sender.stop();
    expect(exit.code, sender.output).toBe(0);
    for (const result of results) expect(result, sender.output).toMatchObject(FAULTLESS);
    return results;
  }

  async switchStats(): Promise<SwitchStats> {
    const stats = this.tspmd('stats', String(this.bess?.pid), '--json');
    await stats.exited;
    return parseSwitchStats(stats.stdout);
  }
}

/** Every byte came back once, in order and right. */
const FAULTLESS = { lost: 0, disorder: 0, came: { corrupt: 0, foreign: 0 } };

/** The sum over all cores. */
export function total(results: readonly StreamResult[], of: (result: StreamResult) => number): number {
  return results.reduce((sum, result) => sum + of(result), 0);
}
