/**
 * A switch with two ports and the endpoints behind them. Each is a process that runs `tspmd`; all have one folder for
 * sockets.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import { Child } from '../../../scripts/child.js';
import { temporaryDirectory } from '../resources.js';

const SCRIPT = 'forward_script.bess';
const SUCCESS = { code: 0, signal: null };

export class TwoPortSwitch {
  protected readonly children: Child[] = [];
  protected bess: Child | undefined;
  private readonly directory = temporaryDirectory();

  /** @param command starts `tspmd` with these arguments; default: the one that was built */
  constructor(private readonly command: (...args: string[]) => Child = Child.tspmd) {}

  /** Starts the switch; resolves when it listens. */
  async startSwitch(): Promise<Child> {
    this.bess = this.tspmd('switch', SCRIPT, ...[1, 2].map((port) => `VM${port}_SOCKET=${this.socket(port)}`));
    await this.bess.waitFor(/^ready/m);
    return this.bess;
  }

  /** Starts `tspmd` with these arguments. {@link close} stops it. */
  tspmd(...args: string[]): Child {
    const child = this.command(...args);
    this.children.push(child);
    return child;
  }

  /** A file of the folder. */
  file(name: string): string {
    return join(this.directory.path, name);
  }

  /** The socket of port 1 or 2. */
  socket(port: number): string {
    return this.file(`vm${port}.sock`);
  }

  /**
   * Options of the endpoint behind port 1 or 2: its device, and the address 10.0.0.1 or 10.0.0.2.
   * @param more options of the device, such as `,server=1`
   */
  endpoint(port: number, more = ''): string[] {
    return ['--device', `vhost-user:${this.socket(port)}${more}`, '--ip', `10.0.0.${port}/24`, '--hugepages', 'never'];
  }

  /** {@link endpoint}, with the MAC address that the script has for this port. */
  endpointWithMac(port: number, more = ''): string[] {
    return [...this.endpoint(port, more), '--mac', `52:54:00:00:00:0${port}`];
  }

  /** Stops the endpoints, not the switch. */
  async stopEndpoints(): Promise<void> {
    for (const child of this.children.filter((each) => each !== this.bess)) await child.stop();
  }

  /** Stops all programs, those that were started last first, and removes the folder. */
  async close(): Promise<void> {
    await Promise.allSettled(this.children.reverse().map((child) => child.stop()));
    this.directory.remove();
  }
}

/**
 * Starts a switch, an endpoint and a ping. Expects three answers, and that endpoint and switch stop in good order.
 * @param command starts `tspmd` with these arguments
 * @param run arguments of `tspmd run` besides those of the device
 * @param ready the line of the endpoint that says it is ready
 */
export async function expectPingsAnswered(
  command: (...args: string[]) => Child,
  run: readonly string[],
  ready = /^ready/m,
): Promise<void> {
  const network = new TwoPortSwitch(command);
  try {
    const bess = await network.startSwitch();
    const endpoint = network.tspmd('run', ...network.endpointWithMac(2), ...run);
    await endpoint.waitFor(ready);
    const options = ['--count', '3', '--interval', '0.05', '--timeout', '10'];
    const ping = network.tspmd('ping', ...network.endpointWithMac(1), '--to', '10.0.0.2', ...options);
    expect(await ping.exited, ping.output).toEqual(SUCCESS);
    expect(ping.stdout).toMatch(/^3 packets transmitted, 3 received/m);
    expect(await endpoint.stop(), endpoint.output).toEqual(SUCCESS);
    expect(await bess.stop(), bess.output).toEqual(SUCCESS);
  } finally {
    await network.close();
  }
}
