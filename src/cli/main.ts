#!/usr/bin/env node
/**
 * The `tspmd` command. Each subcommand's work is in a file of its own, loaded when it is needed: `tspmd switch` does not
 * pay for the layer, `tspmd run` not for the script language.
 *
 * Exit codes: 0 done, 1 it failed (one line on stderr tells why), 2 wrong usage.
 */
import { createRequire } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import { coreList, keyValue, positiveInteger, positiveNumber, scriptVariable, sizeRange } from './arguments.js';
import { loaded, messageOf } from './faults.js';
import { watchOutput } from './output.js';

const require = createRequire(import.meta.url);
const { version } = require('../../../package.json') as { version: string };

/** Options that open a device; `run` and `ping` share them. */
function deviceOptions(command: Command): Command {
  return command
    .requiredOption('--device <dev>', 'vhost-user:PATH[,server=1], or a PCI address')
    .requiredOption('--ip <a.b.c.d/len>', 'own IPv4 address and prefix length')
    .option('--mac <mac>', "own MAC address (default: the device's, else a random one)")
    .option('--mtu <bytes>', "longest IP packet (default: the device's, else 1500)", positiveInteger)
    .option('--gateway <ip>', 'next hop for what is not on the link')
    .option('--neighbour <ip=mac...>', 'static ARP entries', keyValue)
    .option(
      '--buffers <n>',
      'packet buffers of 2 KiB (default: 4096; 1024 more a core from the third on)',
      positiveInteger,
    )
    .addOption(
      new Option('--hugepages <policy>', 'packet memory').choices(['auto', 'require', 'never']).default('auto'),
    )
    .addOption(new Option('--ring <layout>', 'of the virtqueues').choices(['auto', 'split', 'packed']).default('auto'));
}

function program(): Command {
  const tspmd = new Command('tspmd')
    .description('userspace virtio-net poll-mode driver, layer-2 packet layer and switch')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`tspmd: ${text.replace(/^error: /, '')}`) });

  deviceOptions(tspmd.command('run').description('drive a device and run a stack on it'))
    .addOption(new Option('--mode <mode>', 'thread layout').choices(['single', '1kb', '2kb']).default('single'))
    .option('--cores <list>', 'CPUs, such as 0-3: stack first; last RxTx (1kb), or Tx and Rx (2kb)', coreList)
    .option('--app <name|file>', 'echo, macswap, rxonly, txonly, or a module', 'echo')
    .option('--app-option <name=value...>', 'options for the app (txonly: to, size, ip)', keyValue)
    .addOption(
      new Option('--idle <policy>', 'what to do without packets').choices(['adaptive', 'spin']).default('adaptive'),
    )
    .option('--rss-key <key>', 'microsoft, symmetric, or 80 hex digits (default: microsoft)')
    .option('--no-symmetric', 'the two directions of a flow may go to different cores')
    .addOption(
      new Option('--on-core-failure <policy>', "what happens when a core's stack fails")
        .choices(['redistribute', 'stop'])
        .default('redistribute'),
    )
    .option('--core-burst <n>', 'packets that a core may send before the others have their turn', positiveInteger)
    .option('--stats-period <seconds>', 'print rates every so often, and a line a core', positiveNumber)
    .action(async (options) => (await loaded(import('./run.js'))).run(options));

  deviceOptions(tspmd.command('ping').description('ping a host over the driver'))
    .requiredOption('--to <ip>', 'whom to ping')
    .option('--count <n>', 'stop after so many', positiveInteger)
    .option('--interval <seconds>', 'time between two pings', positiveNumber, 1)
    .option('--size <bytes>', 'bytes of payload, or a range such as 0-1472: of all sizes', sizeRange, [56, 56])
    .option('--quiet', 'print only the summary')
    .option('--timeout <seconds>', 'how long an answer may take', positiveNumber, 1)
    .action(async (options) => (await loaded(import('./ping.js'))).ping(options));

  tspmd
    .command('new')
    .description('make a folder with a stack of your own to begin with')
    .argument('<folder>', 'new or empty; it names the package')
    .option(
      '--tspmd <spec>',
      'what the stack depends on: a version, tarball or folder of tspmd (default: this version)',
    )
    .action(async (folder, options) => (await loaded(import('./new.js'))).newStack(folder, options));

  tspmd
    .command('switch')
    .description('run a .bess script in the embedded switch, or look at one that runs')
    .argument('[file]', 'the script; or with --stats, the process id of a running switch')
    .argument('[variables...]', 'NAME=value, read by the script as $NAME', scriptVariable, {})
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
      const { runSwitchCommand, printSwitchStats } = await loaded(import('./switch.js'));
      if (options.stats) return printSwitchStats(file, options);
      if (options.json) command.error('error: --json is for --stats alone');
      if (file === undefined) command.error('error: a .bess script is missing: tspmd switch FILE.bess [NAME=value...]');
      return runSwitchCommand(file, variables, options);
    });

  tspmd
    .command('devices')
    .description('list the NICs of this machine, and what to do next to drive one')
    .action(async () => (await loaded(import('./devices.js'))).printDevices());

  for (const command of tspmd.commands) command.exitOverride().copyInheritedSettings(tspmd);
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
    for (const line of messageOf(error).split('\n')) process.stderr.write(`tspmd: ${line}\n`);
    process.exitCode = 1;
  }
}

await main();
// What a stack left behind (a timer, a socket) must not keep a command alive whose work is done.
process.exit();
