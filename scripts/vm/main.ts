#!/usr/bin/env node
/**
 * The VM lab by hand: `build` makes the guest, `run` runs one command in one.
 *
 * Exit codes of `run`: the command's own; 124 its time was over; 125 the guest failed; 2 wrong usage.
 */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { buildGuest } from './build.js';
import type { Mode } from './machine.js';
import { GuestTimeout, runInGuest } from './run.js';

const TIMED_OUT = 124;
const LAB_FAILED = 125;

interface RunOptions {
  mode: Mode;
  cpus: string;
  memory: string;
  hugepages: string;
  netdev: string[];
  kernelDriver?: boolean;
  share?: string;
  timeout: string;
}

function complain(error: unknown): void {
  process.stderr.write(`vm: ${(error as Error).message}\n`);
}

function build(): void {
  const folder = buildGuest((line) => process.stderr.write(`vm: ${line}\n`));
  process.stdout.write(`${folder}\n`);
}

async function run(command: string[], options: RunOptions): Promise<number> {
  const machine = {
    mode: options.mode,
    cpus: Number(options.cpus),
    memory: Number(options.memory),
    hugepages: Number(options.hugepages),
    netdevs: options.netdev,
    kernelDriver: options.kernelDriver ?? false,
    ...(options.share === undefined ? {} : { share: resolve(options.share) }),
  };
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const streams = { input: process.stdin, output: process.stdout, errors: process.stderr };
  try {
    return await runInGuest(machine, command, streams, Number(options.timeout) * 1000, stop.signal);
  } catch (error) {
    complain(error);
    return error instanceof GuestTimeout ? TIMED_OUT : LAB_FAILED;
  }
}

const program = new Command('vm').description('guest VMs for tests').enablePositionalOptions();
program.command('build').description('make the guest from Debian packages, unless it is there').action(build);
program
  .command('run')
  .description('run one command in a guest')
  .argument('<command...>')
  .passThroughOptions()
  .addOption(new Option('--mode <mode>').choices(['iommu', 'no-iommu', 'none']).default('iommu'))
  .option('--cpus <n>', '', '1')
  .option('--memory <MiB>', '', '1024')
  .option('--hugepages <n>', '', '64')
  .option('--netdev <spec>', '', (spec: string, specs: string[]) => [...specs, spec], [])
  .option('--kernel-driver', '')
  .option('--share <folder>', '')
  .option('--timeout <seconds>', '', '60')
  .action(async (command: string[], options: RunOptions) => process.exit(await run(command, options)));
try {
  await program.parseAsync();
} catch (error) {
  complain(error);
  process.exitCode = 1;
}
