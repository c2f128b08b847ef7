#!/usr/bin/env node
/**
 * The command of the VM lab (docs/vm.md): `build` builds the guest, `run` runs one command in a guest.
 *
 * Exit codes of `run`: that of the command; 124 the time was over; 125 the guest failed; 128 + N the lab got signal N;
 * 2 wrong usage.
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
  virtualTime: boolean;
  share?: string;
  timeout: number;
}

function printError(error: unknown): void {
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
  process.stdout.on('error', () => stop.abort('SIGPIPE')); // the reader has closed the output
  const streams = { input: process.stdin, output: process.stdout, errors: process.stderr };
  try {
    return await runInGuest(machine, command, streams, timeout, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return SIGNALLED + constants.signals[stop.signal.reason as NodeJS.Signals];
    printError(error);
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
    .description('build the guest from Debian packages, unless it exists')
    .option(
      '--fall-back',
      'when a package cannot be downloaded, take an older kernel, or one that needs an IOMMU',
      false,
    )
    .action(build);
  vm.command('run')
    .description('run one command in a guest, with its output and its exit status')
    .argument('<command...>', 'program and arguments; the guest has the files of the host, at the same paths')
    .passThroughOptions()
    .addOption(new Option('--iommu', 'the guest has an IOMMU').default(true, 'this'))
    .option('--no-iommu', 'the guest has no IOMMU, and a vfio.ko that works without one')
    .option('--none', "the guest has no IOMMU, and Debian's vfio.ko")
    .option('--cpus <n>', 'number of vCPUs', positiveInteger, DEFAULTS.cpus)
    .option('--memory <MiB>', 'memory of the guest', positiveInteger, DEFAULTS.memory)
    .option('--hugepages <n>', 'number of hugepages of 2 MiB, reserved at boot', wholeNumber, DEFAULTS.hugepages)
    .option('--netdev <spec>', 'a virtio-net device, see docs/vm.md; can be repeated', collect, [])
    .option('--kernel-driver', 'the guest has the module virtio_net', DEFAULTS.kernelDriver)
    .option('--virtual-time', "the guest's clock does not depend on the host's load", DEFAULTS.virtualTime)
    .option('--share <folder>', 'a folder of the host that the guest can write to')
    .option('--timeout <seconds>', 'time limit, boot included', positiveInteger, DEFAULT_TIMEOUT_SECONDS)
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
    printError(error);
    process.exitCode = 1;
  }
}
