/** The network of the flow tests: the embedded switch, and behind its ports a reflector and a generator, or other stacks. */
import { fileURLToPath } from 'node:url';
import type { SwitchStats } from '../../../bess/stats.js';
import type { Child } from '../../../scripts/child.js';
import { parseSwitchStats } from '../observe/switch-stats.js';
import type { FlowResult } from './flow-generator.app.js';
import { TwoPortSwitch } from './two-port-switch.js';

const file = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const REFLECTOR = file('dist/test/support/flows/flow-reflector.app.js');
const GENERATOR = file('dist/test/support/flows/flow-generator.app.js');
/** How long all packets of a generator may take on a busy machine. */
const TRAFFIC_MS = 60_000;
const COUNTERS_MS = 2000;

export class FlowNetwork extends TwoPortSwitch {
  private readonly endpoints: Child[] = [];

  static async open(): Promise<FlowNetwork> {
    const network = new FlowNetwork();
    await network.startSwitch();
    return network;
  }

  /** The switch dies with all its connections; its sockets stay. */
  async killSwitch(): Promise<void> {
    this.bess?.signal('SIGKILL');
    await this.bess?.exited;
  }

  /** The endpoint under test. */
  async startReflector(...args: string[]): Promise<Child> {
    return this.startEndpoint(2, REFLECTOR, ...args);
  }

  /** @param options of test/support/flows/flow-generator.app.ts */
  async startGenerator(options: Readonly<Record<string, number>>): Promise<Child> {
    const pairs = Object.entries(options).map(([name, value]) => `${name}=${value}`);
    return this.startEndpoint(1, GENERATOR, '--app-option', 'to=10.0.0.2', ...pairs);
  }

  /** `tspmd run` behind port `number`, 1 or 2, with the address 10.0.0.`number`; resolves when it is ready. */
  async startEndpoint(number: number, app: string, ...args: string[]): Promise<Child> {
    const child = this.tspmd('run', ...this.endpointWithMac(number), '--app', app, ...args);
    this.endpoints.push(child);
    await child.waitFor(/^ready/m);
    return child;
  }

  async result(generator: Child): Promise<FlowResult> {
    try {
      const [, json = ''] = await generator.waitFor(/^flows: (.*)$/m, TRAFFIC_MS);
      return JSON.parse(json) as FlowResult;
    } catch {
      throw new Error(await this.explain());
    }
  }

  /** Counters and output of all programs: one line may say why the traffic does not end. */
  private async explain(): Promise<string> {
    for (const child of this.children) child.signal('SIGUSR1');
    await Promise.allSettled(this.endpoints.map((child) => child.waitFor(/^arp_announcements/m, COUNTERS_MS)));
    return `no end of the traffic:\n${this.children.map(({ output }) => output).join('\n')}`;
  }

  /** Runs a generator from start to end. */
  async run(options: Readonly<Record<string, number>>): Promise<FlowResult> {
    return this.result(await this.startGenerator(options));
  }

  async switchStats(): Promise<SwitchStats> {
    const stats = this.tspmd('stats', String(this.bess?.pid), '--json');
    await stats.exited;
    return parseSwitchStats(stats.stdout);
  }
}

/** The last lines of an endpoint: the totals of its stack, of all cores and of each, and what it dropped and why. */
export interface Totals {
  readonly all: Readonly<Record<string, number>>;
  readonly cores: readonly Readonly<Record<string, number>>[];
  readonly drops: Readonly<Record<string, number>>;
}

/** Stops an endpoint in good order, and reads its totals. */
export async function totalsOf(child: Child): Promise<Totals> {
  const exit = await child.stop();
  const stopped = child.stdout.match(/^stopped: received \d+ frames, sent \d+; dropped (?:none|\d+ \((.*)\))$/m);
  if (exit.code !== 0 || stopped === null)
    throw new Error(`it ended with ${exit.code ?? exit.signal}:\n${child.output}`);
  const lines = child.stdout.matchAll(/^\S+(?: on core \d+)?: (\w+ \d+(?:, \w+ \d+)*)$/gm);
  const cores = [...lines].map(([, text = '']) => numbers(text));
  const all: Record<string, number> = {};
  for (const core of cores) for (const [name, value] of Object.entries(core)) all[name] = (all[name] ?? 0) + value;
  return { all, cores, drops: numbers(stopped[1] ?? '') };
}

function numbers(text: string): Record<string, number> {
  return Object.fromEntries([...text.matchAll(/(\w+) (\d+)/g)].map(([, name, value]) => [name, Number(value)]));
}
