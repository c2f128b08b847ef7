/** A network namespace of a test's or benchmark's own: the Linux kernel as a peer, with no traffic on the machine's own interfaces. */
import { execFileSync } from 'node:child_process';
import { Child } from './child.js';

const TIMEOUT_MS = 10_000;

export class NetworkNamespace {
  private constructor(readonly name: string) {}

  /** Makes a namespace with a name that no other run has. */
  static create(): NetworkNamespace {
    const name = `tspmd-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    return new NetworkNamespace(name);
  }

  /** `ip ARGS` inside; throws with its message. */
  ip(...args: string[]): string {
    return ip('-n', this.name, ...args);
  }

  /** Makes a tap device `name` that is up, with an address such as `10.0.0.9/24`. */
  addTap(name: string, address: string): void {
    this.ip('tuntap', 'add', name, 'mode', 'tap');
    this.ip('addr', 'add', address, 'dev', name);
    this.ip('link', 'set', name, 'up');
  }

  /** Starts a program inside. */
  spawn(program: string, ...args: string[]): Child {
    return Child.spawn('ip', ['netns', 'exec', this.name, program, ...args]);
  }

  /** Starts `tspmd` inside: the interfaces that it makes are the namespace's. */
  tspmd(...args: string[]): Child {
    const [program, ...command] = Child.commandLine(...args);
    return this.spawn(program, ...command);
  }

  remove(): void {
    ip('netns', 'delete', this.name);
  }
}

function ip(...args: string[]): string {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  return execFileSync('ip', args, { encoding: 'utf8', timeout: TIMEOUT_MS, env, stdio: ['ignore', 'pipe', 'pipe'] });
}
