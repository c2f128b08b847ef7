/** The picture of the flow tests: the embedded switch, and behind its ports a reflector and a generator, or other stacks. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SwitchStats } from '../../../bess/stats.js';
import { Child } from '../../../scripts/child.js';
import { temporaryDirectory } from '../resources.js';
import type { FlowResult } from './flow-generator.app.js';

const file = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const SCRIPT = file('bess/forward_script.bess');
const REFLECTOR = file('dist/test/support/flows/flow-reflector.app.js');
const GENERATOR = file('dist/test/support/flows/flow-generator.app.js');
/** For all of a generator's packets, on a machine that is busy. */
const TRAFFIC_MS = 60_000;
const COUNTERS_MS = 2000;

export class FlowScene {
  private readonly directory = temporaryDirectory();
  private readonly children: Child[] = [];
  private readonly endpoints: Child[] = [];
  private bess: Child | undefined;

  static async open(): Promise<FlowScene> {
    const scene = new FlowScene();
    await scene.startSwitch();
    return scene;
  }

  async startSwitch(): Promise<void> {
    this.bess = this.enter(
      Child.tspmd('switch', SCRIPT, `VM1_SOCKET=${this.socket(1)}`, `VM2_SOCKET=${this.socket(2)}`),
    );
    await this.bess.waitFor(/^ready/m);
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

  /** `tspmd run` behind port `number`, 1 or 2, with the address 10.0.0.`number`. */
  async startEndpoint(number: number, app: string, ...args: string[]): Promise<Child> {
    const device = ['--device', `vhost-user:${this.socket(number)}`, '--ip', `10.0.0.${number}/24`];
    const own = [...device, '--mac', `52:54:00:00:00:0${number}`, '--hugepages', 'never', '--app', app];
    const child = this.enter(Child.tspmd('run', ...own, ...args));
    this.endpoints.push(child);
    await child.waitFor(/^ready/m);
    return child;
  }

  /** Of port `number`, 1 or 2. */
  socket(number: number): string {
    return join(this.directory.path, `vm${number}.sock`);
  }

  async result(generator: Child): Promise<FlowResult> {
    try {
      const [, json = ''] = await generator.waitFor(/^flows: (.*)$/m, TRAFFIC_MS);
      return JSON.parse(json) as FlowResult;
    } catch {
      throw new Error(await this.explain());
    }
  }

  /** Everybody's counters and output, of which one line hopefully tells why the traffic does not end. */
  private async explain(): Promise<string> {
    for (const child of this.children) child.signal('SIGUSR1');
    await Promise.allSettled(this.endpoints.map((child) => child.waitFor(/^arp_announcements/m, COUNTERS_MS)));
    return `no end of the traffic:\n${this.children.map(({ output }) => output).join('\n')}`;
  }

  /** A generator from start to end. */
  async run(options: Readonly<Record<string, number>>): Promise<FlowResult> {
    return this.result(await this.startGenerator(options));
  }

  async switchStats(): Promise<SwitchStats> {
    const stats = this.enter(Child.tspmd('switch', '--stats', String(this.bess?.pid), '--json'));
    await stats.exited;
    return JSON.parse(stats.stdout) as SwitchStats;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.children.reverse().map((child) => child.stop()));
    this.directory.remove();
  }

  private enter(child: Child): Child {
    this.children.push(child);
    return child;
  }
}

/** What an endpoint's last lines say: the totals of its stack, of all cores and of each, and what it dropped and why. */
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
