#!/usr/bin/env node
/**
 * The VM lab by hand: `build` makes the guest, `run` runs one command in one.
 *
 * Exit codes of `run`: the command's own; 124 its time was over; 125 the guest failed; 128 + N the
 * lab got signal N; 2 wrong usage.
 */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { positiveInteger } from '../../src/cli/arguments.js';
import { type BuildOptions, buildGuest } from './build.js';
import { DEFAULTS, type Machine } from './machine.js';
import { DEFAULT_TIMEOUT_SECONDS, GuestTimeout, runInGuest } from './run.js';
import { removeSavedMachines } from './saved.js';

const TIMED_OUT = 124;
const LAB_FAILED = 125;
const SIGNALLED = 128;

interface RunOptions {
  iommu: boolean;
  none?: boolean;
  cpus: number;
  memory: number;
  hugepages: number;
  netdev: string[];
  kernelDriver: boolean;
  share?: string;
  timeout: number;
}

function complain(error: unknown): void {
  process.stderr.write(`vm: ${(error as Error).message}\n`);
}

function build(options: BuildOptions): void {
  const folder = buildGuest((line) => process.stderr.write(`vm: ${line}\n`), options);
  removeSavedMachines(folder);
  process.stdout.write(`vm: the guest is in ${folder}\n`);
}

async function run(command: string[], options: RunOptions): Promise<number> {
  const { iommu, none, netdev, share, timeout, ...rest } = options;
  const machine: Machine = {
    ...rest,
    mode: none ? 'none' : iommu ? 'iommu' : 'no-iommu',
    netdevs: netdev,
    ...(share === undefined ? {} : { share: resolve(share) }),
  };
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort(signal));
  process.stdout.on('error', () => stop.abort('SIGPIPE')); // who reads has had enough
  const streams = { input: process.stdin, output: process.stdout, errors: process.stderr };
  try {
    return await runInGuest(machine, command, streams, timeout, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return SIGNALLED + constants.signals[stop.signal.reason as NodeJS.Signals];
    complain(error);
    return error instanceof GuestTimeout ? TIMED_OUT : LAB_FAILED;
  }
}

function program(): Command {
  const vm = new Command('vm')
    .description('guest VMs for tests, without KVM')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`vm: ${text.replace(/^error: /, '')}`) });
  vm.command('build')
    .description('make the guest from Debian packages, unless it is there')
    .option(
      '--fall-back',
      'go on to an older kernel, or one without vfio.ko, where a package cannot be downloaded',
      false,
    )
    .action(build);
  vm.command('run')
    .description("run one command in a guest; its output and exit status are this command's own")
    .argument('<command...>', "program and arguments; the host's files are there, at their own paths")
    .passThroughOptions()
    .addOption(new Option('--iommu', 'with an IOMMU').default(true, 'that'))
    .option('--no-iommu', 'without, and with a vfio.ko that allows it')
    .option('--none', 'without, and with the vfio.ko of Debian')
    .option('--cpus <n>', 'vCPUs', positiveInteger, DEFAULTS.cpus)
    .option('--memory <MiB>', 'memory', positiveInteger, DEFAULTS.memory)
    .option('--hugepages <n>', 'hugepages of 2 MiB, reserved at boot', wholeNumber, DEFAULTS.hugepages)
    .option('--netdev <spec>', 'a virtio-net device, see README.md; may be repeated', collect, [])
    .option('--kernel-driver', "have the kernel's virtio_net as a module", DEFAULTS.kernelDriver)
    .option('--share <folder>', 'a folder that the guest may write to')
    .option('--timeout <seconds>', 'for all of it, the boot too', positiveInteger, DEFAULT_TIMEOUT_SECONDS)
    .action(async (command: string[], options: RunOptions) => process.exit(await run(command, options)));
  for (const command of vm.commands) command.exitOverride().copyInheritedSettings(vm);
  return vm;
}

const collect = (spec: string, specs: readonly string[]): string[] => [...specs, spec];

function wholeNumber(text: string): number {
  return text === '0' ? 0 : positiveInteger(text);
}

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    complain(error);
    process.exitCode = 1;
  }
}
