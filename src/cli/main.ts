#!/usr/bin/env node
/**
 * The `tspmd` command. Each subcommand's work is in a file of its own, loaded when it is needed: `tspmd switch` does not
 * pay for the layer, `tspmd run` not for the script language.
 *
 * Exit codes: 0 done, 1 it failed, 2 wrong usage: an option, or what it says of the configuration. One line per fault on
 * stderr tells why; --verbose adds the stack.
 */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { Argument, Command, CommanderError, Option } from 'commander';
import { coreList, keyValue, positiveInteger, positiveNumber, scriptVariable, sizeRange } from './arguments.js';
import { isUsageFault, messageOf, stackOf } from './faults.js';
import { complain, complainAtLength, outputRead } from './output.js';
import { watchOutput } from './output-end.js';

const require = createRequire(import.meta.url);
const { version } = require('../../../package.json') as { version: string };

/** Frames that --verbose shows at most. */
const MAX_FRAMES = 200;

/** Whether the command that runs was given --verbose. */
let isVerbose = false;

/** V8 keeps ten frames of a stack otherwise; of other threads, those that start from now on. */
function showWholeStacks(): void {
  Error.stackTraceLimit = MAX_FRAMES;
  setFlagsFromString(`--stack-trace-limit=${MAX_FRAMES}`);
}

/** Notes --verbose before `act`. */
function verbosely<Options>(act: (options: Options) => Promise<void>): (options: Options) => Promise<void> {
  return (options) => {
    isVerbose = (options as { verbose?: boolean }).verbose ?? false;
    if (isVerbose) showWholeStacks();
    return act(options);
  };
}

/** Options that open a device; `run` and `ping` share them. */
function deviceOptions(command: Command): Command {
  return command
    .requiredOption('--device <dev>', 'vhost-user:PATH[,server=1], or a PCI address')
    .requiredOption('--ip <a.b.c.d/len>', 'own IPv4 address and prefix length')
    .option('--mac <mac>', "own MAC address (default: the device's, otherwise a random one)")
    .option('--mtu <bytes>', "longest IP packet (default: the device's, otherwise 1500)", positiveInteger)
    .option('--gateway <ip>', 'next hop for addresses that are not on the link')
    .option('--neighbour <ip=mac...>', 'MAC addresses of neighbours that are not asked by ARP', keyValue)
    .option(
      '--buffers <n>',
      'packet buffers of 2 KiB (default: 4096, and 1024 per core from the third on)',
      positiveInteger,
    )
    .addOption(
      new Option('--hugepages <policy>', 'packet memory in hugepages: if there are any, always, or never')
        .choices(['auto', 'require', 'never'])
        .default('auto'),
    )
    .addOption(
      new Option('--ring <layout>', 'layout of the virtqueues').choices(['auto', 'split', 'packed']).default('auto'),
    )
    .option('--verbose', 'print the whole stack of an error, not only its line');
}

/** A command that runs the bind script: its arguments, `--help` among them, are the script's. */
function bindCommand(tspmd: Command, name: string, description: string, ...first: string[]): Command {
  return tspmd
    .command(name)
    .description(description)
    .argument('[arguments...]', 'of scripts/bind-vfio.sh, which is run with them')
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args) => (await import('./bind.js')).runBindScript([...first, ...args]));
}

function program(): Command {
  const tspmd = new Command('tspmd')
    .description('userspace virtio-net poll-mode driver, layer-2 packet layer and switch')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`tspmd: ${text.replace(/^error: /, '')}`) });

  deviceOptions(tspmd.command('run').description('drive a device and run a stack on it'))
    .addOption(new Option('--mode <mode>', 'thread layout').choices(['single', '1kb', '2kb']).default('single'))
    .option(
      '--cores <list>',
      'CPUs, such as 0-3: first those of the stack, then RxTx (1kb), or Tx and Rx (2kb)',
      coreList,
    )
    .option('--app <name|file>', 'echo, macswap, rxonly, txonly, or the file of a stack (docs/apps.md)', 'echo')
    .option('--app-option <name=value...>', 'options for the app (txonly: to, size, ip)', keyValue)
    .addOption(
      new Option('--idle <policy>', 'without packets: sleep, or keep polling')
        .choices(['adaptive', 'spin'])
        .default('adaptive'),
    )
    .option('--rss-key <key>', 'microsoft, symmetric, or 80 hex digits (default: microsoft)')
    .option('--no-symmetric', 'the two directions of a flow may go to different cores')
    .addOption(
      new Option('--on-core-failure <policy>', "what happens when a core's stack fails")
        .choices(['redistribute', 'stop'])
        .default('redistribute'),
    )
    .option('--core-burst <n>', 'packets that a core may send before the next one may (default: 32)', positiveInteger)
    .option('--stats-period <seconds>', 'print rates this often, and a line per core', positiveNumber)
    .action(verbosely(async (options) => (await import('./run.js')).run(options)));

  deviceOptions(tspmd.command('ping').description('ping a host over the driver'))
    .requiredOption('--to <ip>', 'whom to ping')
    .option('--count <n>', 'stop after so many requests (default: at a signal)', positiveInteger)
    .option('--interval <seconds>', 'time between two requests', positiveNumber, 1)
    .addOption(
      new Option('--size <bytes>', 'bytes of payload, or a range such as 0-1472: every size in turn')
        .argParser(sizeRange)
        .default([56, 56], '56'),
    )
    .option('--quiet', 'print only the summary')
    .option('--timeout <seconds>', 'how long an answer may take', positiveNumber, 1)
    .action(verbosely(async (options) => (await import('./ping.js')).ping(options)));

  tspmd
    .command('new')
    .description('make a folder with a stack of your own to begin with')
    .argument('<folder>', 'new or empty; it names the package')
    .option(
      '--tspmd <spec>',
      'what the stack depends on: a version, tarball or folder of tspmd (default: this version)',
    )
    .action(async (folder, options) => (await import('./new.js')).newStack(folder, options));

  tspmd
    .command('switch')
    .description('run a .bess script in the embedded switch, or look at one that runs')
    .argument('[file]', 'the script; or with --stats, the process id of a running switch')
    .addArgument(
      new Argument('[variables...]', 'NAME=value, read by the script as $NAME')
        .argParser(scriptVariable)
        .default({}, 'none'),
    )
    .addOption(
      new Option('--idle <policy>', 'what to do without packets').choices(['adaptive', 'spin']).default('adaptive'),
    )
    .addOption(
      new Option('--peer-memory <which>', 'take any memory of a VM, or only such as cannot shrink (SECURITY.md)')
        .choices(['any', 'sealed'])
        .default('any'),
    )
    .option('--stats', 'print the counters of running switches: all of this user, or the one whose process id is given')
    .option('--json', 'with --stats: as JSON')
    .action(async (file, variables, options, command) => {
      const { runSwitchCommand, printSwitchStats } = await import('./switch.js');
      if (options.stats) return printSwitchStats(file, options);
      if (options.json) command.error('error: --json is for --stats alone');
      if (file === undefined) command.error('error: a .bess script is missing: tspmd switch FILE.bess [NAME=value...]');
      return runSwitchCommand(file, variables, options);
    });

  tspmd
    .command('devices')
    .description('list the NICs of this machine, and what to do next to drive one')
    .action(async () => (await import('./devices.js')).printDevices());

  for (const command of tspmd.commands) command.exitOverride().copyInheritedSettings(tspmd);
  // After that: they have no --help of ours.
  bindCommand(tspmd, 'bind', 'give a NIC to vfio-pci, so that tspmd can drive it').usage(
    '<address> [--hugepages <n>] [--no-iommu] [--force]',
  );
  bindCommand(tspmd, 'unbind', 'give a NIC back to the driver that it had', '--unbind').usage('<address>');
  return tspmd;
}

async function main(): Promise<void> {
  watchOutput('tspmd');
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    for (const line of messageOf(error).split('\n')) complain(line);
    if (isVerbose) complainAtLength(stackOf(error));
    process.exitCode = isUsageFault(error) ? 2 : 1;
  }
}

await main();
await outputRead();
// What a stack left behind (a timer, a socket) must not keep a command alive whose work is done.
process.exit();
