/**
 * A network namespace for a test or a benchmark, in which the Linux kernel is a peer. No traffic reaches other
 * interfaces.
 */
import { execFileSync } from 'node:child_process';
import { Child } from './child.js';
import { searchPath } from './programs.js';

const TIMEOUT_MS = 10_000;

export class NetworkNamespace {
  private constructor(readonly name: string) {}

  /** Makes a namespace with a unique name. */
  static create(): NetworkNamespace {
    const name = `tspmd-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    return new NetworkNamespace(name);
  }

  /** Runs `ip ARGS` in the namespace. Throws with the message of `ip` when it fails. */
  ip(...args: string[]): string {
    return ip('-n', this.name, ...args);
  }

  /** Makes a tap device with an address such as `10.0.0.9/24`, and takes it up. */
  addTap(name: string, address: string): void {
    this.ip('tuntap', 'add', name, 'mode', 'tap');
    this.ip('addr', 'add', address, 'dev', name);
    this.ip('link', 'set', name, 'up');
  }

  /** Sets a kernel parameter of the namespace, such as `net.core.somaxconn`. */
  sysctl(name: string, value: string): void {
    const path = `/proc/sys/${name.replaceAll('.', '/')}`;
    ip('netns', 'exec', this.name, 'sh', '-c', 'echo "$0" >"$1"', value, path);
  }

  /** Has the kernel handle what an interface receives on this CPU (receive packet steering), not on that of the sender. */
  steer(interfaceName: string, cpu: number): void {
    const path = `/sys/class/net/${interfaceName}/queues/rx-0/rps_cpus`;
    ip('netns', 'exec', this.name, 'sh', '-c', 'echo "$0" >"$1"', (1 << cpu).toString(16), path);
  }

  /** Moves an interface of the machine into the namespace. */
  adopt(name: string): void {
    ip('link', 'set', name, 'netns', this.name);
  }

  /** Starts a program in the namespace. */
  spawn(program: string, ...args: string[]): Child {
    return Child.spawn('ip', ['netns', 'exec', this.name, program, ...args]);
  }

  /** Starts `tspmd` in the namespace, which then has the interfaces that `tspmd` makes. */
  tspmd(...args: string[]): Child {
    const [program, ...command] = Child.commandLine(...args);
    return this.spawn(program, ...command);
  }

  remove(): void {
    ip('netns', 'delete', this.name);
  }
}

/** Runs `ip ARGS` in the namespace of this process. Throws with the message of `ip` when it fails. */
export function ip(...args: string[]): string {
  const env = { ...process.env, PATH: searchPath() };
  return execFileSync('ip', args, { encoding: 'utf8', timeout: TIMEOUT_MS, env, stdio: ['ignore', 'pipe', 'pipe'] });
}
