#!/usr/bin/env node
/**
 * The `tspmd` command. Each subcommand has a file of its own, which is loaded when it is needed: `tspmd switch` does
 * not load the layer, and `tspmd run` does not load the script language.
 *
 * Exit codes: 0 success, 1 failure, 2 wrong usage (an option, or the configuration that the options make). Each fault
 * is one line on stderr. `--verbose` adds stack traces.
 */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { Argument, Command, CommanderError, Option } from 'commander';
import { tellErr } from '../../drivers/log/event-log.js';
import { messageOf } from '../../drivers/log/message-of.js';
import { SAMPLE_APPS } from '../load-app.js';
import {
  coreList,
  dnsServers,
  keyValue,
  listenAddress,
  portList,
  positiveInteger,
  positiveNumber,
  processName,
  scriptVariable,
  sizeRange,
  TOP_SORTS,
  updateInterval,
} from './arguments.js';
import type { ExecCommandOptions } from './exec.js';
import type { GetCommandOptions } from './get/command.js';
import { inlineMore } from './inlining.js';
import { isUsageFault, traceOf } from './output/error-lines.js';
import { outputRead, printTrace } from './output/lines.js';
import { logOption, tellUsageError } from './output/log-option.js';
import { watchOutput } from './output/output-end.js';

inlineMore();

const require = createRequire(import.meta.url);
const { version } = require('../../../package.json') as { version: string };

/** How many frames of a stack trace `--verbose` shows. */
const MAX_FRAMES = 200;

/** Whether the program of `tspmd exec` runs in this thread, and ends the process. */
let isProgramRunning = false;

/** Whether the running command has the option `--verbose`. */
let isVerbose = false;

/** Makes V8 keep more than ten frames of a stack trace, in this thread and in threads that start later. */
function keepWholeTraces(): void {
  Error.stackTraceLimit = MAX_FRAMES;
  setFlagsFromString(`--stack-trace-limit=${MAX_FRAMES}`);
}

/** Wraps the action of a command: reads `--verbose` first. */
function verbosely<Options>(act: (options: Options) => Promise<void>): (options: Options) => Promise<void> {
  return (options) => {
    isVerbose = (options as { verbose?: boolean }).verbose ?? false;
    if (isVerbose) keepWholeTraces();
    return act(options);
  };
}

/** Adds the options for a device, which `run`, `exec`, `ping` and `get` share. */
function deviceOptions(command: Command): Command {
  return command
    .requiredOption('--device <dev>', 'vhost-user:PATH[,server=1], tap:NAME[,host=A.B.C.D/LEN], or a PCI address')
    .requiredOption(
      '--ip <a.b.c.d/len|dhcp>',
      'own IPv4 address, and the prefix length of the link; dhcp: a DHCP server names them',
    )
    .option('--mac <mac>', "own MAC address (default: the device's, otherwise a random one)")
    .option('--mtu <bytes>', "longest IP packet (default: the device's, otherwise 1500)", positiveInteger)
    .option('--gateway <ip>', 'router for addresses that are not on the link')
    .option('--neighbour <ip=mac...>', 'neighbours with fixed MAC addresses, without ARP', keyValue)
    .option(
      '--buffers <n>',
      'number of packet buffers of 2 KiB (default: 4096, plus 1024 per core from the third on)',
      positiveInteger,
    )
    .addOption(
      new Option('--hugepages <policy>', 'packet memory in hugepages: if some are free, always, or never')
        .choices(['auto', 'require', 'never'])
        .default('auto'),
    )
    .addOption(
      new Option('--ring <layout>', 'layout of the virtqueues').choices(['auto', 'split', 'packed']).default('auto'),
    )
    .addOption(
      new Option(
        '--offloads <policy>',
        'checksums, segmentation and large packets by the device: as it can, or none (default: auto for exec, get and apps over TCP, otherwise off)',
      ).choices(['auto', 'off']),
    )
    .option('--verbose', 'print the stack trace of an error, too');
}

/** Adds the options for those who look into a process, which `run`, `exec` and `switch` share. */
function observeOptions(command: Command, what: string): Command {
  return logOption(command)
    .option('--name <name>', `name for tspmd stats (default: that of the ${what})`, processName)
    .option(
      '--metrics <[host:]port>',
      'serve metrics for Prometheus at http://HOST:PORT/metrics (default host: 127.0.0.1; port 0: any that is free)',
      listenAddress,
    )
    .option(
      '--page',
      'serve a live page for browsers, at the address of --metrics (default: 127.0.0.1, any port that is free)',
    );
}

/** Adds a command that runs the bind script. The script gets all arguments, also `--help`. */
function bindCommand(tspmd: Command, name: string, description: string, ...first: string[]): Command {
  return tspmd
    .command(name)
    .description(description)
    .argument('[arguments...]', 'for scripts/bind-vfio.sh, which does the work')
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args) => (await import('./bind.js')).runBindScript([...first, ...args]));
}

function program(): Command {
  const tspmd = new Command('tspmd')
    .description('Userspace virtio-net poll-mode driver, layer-2 packet layer, and switch.')
    .version(version)
    .exitOverride()
    // An option behind the program of `exec` is the program's.
    .enablePositionalOptions()
    .configureOutput({ outputError: tellUsageError });

  const run = deviceOptions(tspmd.command('run').description('open a device and run an app on it'))
    .addOption(new Option('--mode <mode>', 'thread layout').choices(['single', '1kb', '2kb']).default('single'))
    .option(
      '--cores <list>',
      'CPUs, such as 0-3: first the cores, then the RxTx worker (1kb), or the Tx and the Rx worker (2kb)',
      coreList,
    )
    .option('--app <name|file>', `${SAMPLE_APPS.join(', ')}, or the file of an app (docs/apps.md)`, 'echo')
    .option('--app-option <name=value...>', 'options of the app, such as root=FOLDER of http (docs/apps.md)', keyValue)
    .addOption(
      new Option('--idle <policy>', 'when no packets come: sleep (adaptive), or keep polling (spin)')
        .choices(['adaptive', 'spin'])
        .default('adaptive'),
    )
    .option('--rss-key <key>', 'microsoft, symmetric, or 80 hex digits (default: microsoft)')
    .option('--no-symmetric', 'let the two directions of a flow go to different cores')
    .addOption(
      new Option('--on-core-failure <policy>', 'when the app fails on one core: move its flows to the others, or stop')
        .choices(['redistribute', 'stop'])
        .default('redistribute'),
    )
    .option('--core-burst <n>', 'packets that a core sends per turn (default: 32)', positiveInteger)
    .option('--stats-period <seconds>', 'time between two reports of the rates, with a line per thread', positiveNumber)
    .action(verbosely(async (options) => (await import('./run.js')).run(options)));
  observeOptions(run, 'app');

  deviceOptions(tspmd.command('ping').description('ping a host over the driver'))
    .requiredOption('--to <ip>', 'IPv4 address of the host')
    .option('--count <n>', 'number of requests (default: until a signal comes)', positiveInteger)
    .option('--interval <seconds>', 'time between two requests', positiveNumber, 1)
    .addOption(
      new Option('--size <bytes>', 'bytes of payload; a range such as 0-1472 sends every size in turn')
        .argParser(sizeRange)
        .default([56, 56], '56'),
    )
    .option('--quiet', 'print only the summary')
    .option('--timeout <seconds>', 'how long an answer may take', positiveNumber, 1)
    .action(verbosely(async (options) => (await import('./ping.js')).ping(options)));

  deviceOptions(tspmd.command('get').description('get a URL over the driver, or load a server with requests'))
    .argument('<url>', 'http://A.B.C.D[:port]/path')
    .option('--output <file>', 'write the content to a file; - is stdout (default: stdout, with --hash nowhere)')
    .addOption(new Option('--hash <algorithm>', 'print the hash of the content').choices(['sha256', 'sha1', 'md5']))
    .option('--progress', 'show the progress on stderr (default: if it is a terminal)')
    .option('--no-progress', 'do not show the progress')
    .option(
      '--timeout <seconds>',
      'how long the server may be silent; with --requests: how long a response may take',
      positiveNumber,
      10,
    )
    .option('--json', 'print the result as JSON')
    .option('--connections <n>', 'load generator: connections at the same time (default: 1)', positiveInteger)
    .option('--requests <n>', 'load generator: requests of all connections (default: one each)', positiveInteger)
    .option('--no-keep-alive', 'load generator: a new connection for each request')
    .action(async (url, options) => {
      await verbosely<GetCommandOptions>(async (all) => (await import('./get/command.js')).get(url, all))(options);
    });

  const exec = deviceOptions(tspmd.command('exec').description('run a Node program whose sockets use the device'))
    .argument('<program>', 'JavaScript, or TypeScript where this Node runs it')
    .argument('[arguments...]', 'for the program')
    .passThroughOptions()
    .addOption(new Option('--mode <mode>', 'thread layout').choices(['single', '1kb', '2kb']).default('single'))
    .option(
      '--cores <list>',
      'CPUs, such as 0-3: first the cores, each of which runs the program, then as with run',
      coreList,
    )
    .option(
      '--dns <list>',
      "DNS servers that names are asked from over the device (default: the lease's, or Node's way)",
      dnsServers,
    )
    .option('--kernel-ports <list>', 'ports that are left to the kernel, such as 22,8000-8100', portList)
    .addOption(
      new Option('--idle <policy>', 'when no packets come: sleep (adaptive), or keep polling (spin)')
        .choices(['adaptive', 'spin'])
        .default('adaptive'),
    )
    .option('--quiet', 'do not say at the start what uses the stack, and what the kernel')
    .action(async (file, args, options) => {
      await verbosely<ExecCommandOptions>(async (all) => {
        isProgramRunning = await (await import('./exec.js')).exec(file, args, all);
      })(options);
    });

  observeOptions(exec, 'program');

  tspmd
    .command('new')
    .description('make a project with a small stack, to start your own from')
    .argument('<folder>', 'a new or empty folder; its name becomes the name of the package')
    .option('--tspmd <spec>', 'version, tarball or folder of tspmd that the project depends on (default: this version)')
    .action(async (folder, options) => (await import('./new.js')).newStack(folder, options));

  const bess = tspmd
    .command('switch')
    .description('run a .bess script in the embedded switch')
    .argument('[file]', 'the script')
    .addArgument(
      new Argument('[variables...]', 'NAME=value, which the script reads as $NAME')
        .argParser(scriptVariable)
        .default({}, 'none'),
    )
    .addOption(
      new Option('--idle <policy>', 'when no packets come: sleep (adaptive), or keep polling (spin)')
        .choices(['adaptive', 'spin'])
        .default('adaptive'),
    )
    .addOption(
      new Option('--peer-memory <which>', 'accept any memory of a VM, or only memory that cannot shrink (SECURITY.md)')
        .choices(['any', 'sealed'])
        .default('any'),
    )
    .action(async (file, variables, options, command) => {
      if (file === undefined) command.error('error: a .bess script is missing: tspmd switch FILE.bess [NAME=value...]');
      return (await import('./switch.js')).runSwitchCommand(file, variables, options);
    });

  observeOptions(bess, 'script');

  tspmd
    .command('list')
    .description('list the processes of tspmd that run on this machine')
    .option('--json', 'print a line of JSON per process')
    .action(async (options) => (await import('./observe/list.js')).list(options));

  tspmd
    .command('stats')
    .description('print the counters of running processes: run, exec, switch')
    .argument('[name]', 'process id, name or device of a process (default: all that this user may ask)')
    .option('--watch <seconds>', 'print rates, at this interval', positiveNumber)
    .option('--json', 'print a line of JSON per process; with --watch, at each interval')
    .action(async (name, options) => (await import('./observe/stats.js')).stats(name, options));

  tspmd
    .command('top')
    .description('show running processes live: rates, drops, threads, flows, TCP connections')
    .argument('[name]', 'process id, name or device of a process (default: all that this user may ask)')
    .option('--interval <seconds>', 'time between two looks', updateInterval, 1)
    .addOption(new Option('--sort <column>', 'what rows are sorted by, where they have it').choices(TOP_SORTS))
    .option('--lines', 'print lines instead of filling the terminal (default where there is no terminal)')
    .option('--count <n>', 'print so many blocks of lines', positiveInteger)
    .action(async (name, options) => (await import('./top/command.js')).top(name, options));

  tspmd
    .command('capture')
    .description('capture packets of a running process: run, exec, switch')
    .argument('[name]', 'process id, name or device of the process (default: the only one)')
    .option('--output <file>', 'write pcapng to this file; - is stdout', '-')
    .option('--port <name>', 'only this port of a switch (default: all)')
    .addOption(new Option('--direction <direction>', 'received or sent packets (default: both)').choices(['in', 'out']))
    .option(
      '--filter <expression>',
      'which packets, as tcpdump has it: "tcp port 80 and host 10.0.0.1" (docs/observe.md)',
    )
    .option('--snaplen <bytes>', 'the most bytes to keep of a packet (default: all)', positiveInteger)
    .option('--count <n>', 'end after this many packets', positiveInteger)
    .option('--duration <seconds>', 'end after this time', positiveNumber)
    .option('--drops', 'only the packets that are dropped, each with the reason as its comment')
    .action(async (name, options) => (await import('./observe/capture.js')).capture(name, options));

  tspmd
    .command('devices')
    .description('list the NICs of this machine, and the next step to use each')
    .action(async () => (await import('./devices.js')).printDevices());

  for (const command of tspmd.commands) command.exitOverride().copyInheritedSettings(tspmd);
  // After the loop, because the script has a --help of its own.
  bindCommand(tspmd, 'bind', 'bind a NIC to vfio-pci, so that tspmd can drive it').usage(
    '<address> [--hugepages <n>] [--no-iommu] [--force]',
  );
  bindCommand(tspmd, 'unbind', 'bind a NIC to the driver that it had before', '--unbind').usage('<address>');
  return tspmd;
}

async function main(): Promise<void> {
  watchOutput((line) => tellErr(line, { event: 'error', exitCode: 1 }));
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    const exitCode = isUsageFault(error) ? 2 : 1;
    for (const line of messageOf(error).split('\n')) tellErr(line, { event: 'error', exitCode });
    if (isVerbose) printTrace(traceOf(error));
    process.exitCode = exitCode;
  }
}

await main();
if (!isProgramRunning) {
  await outputRead();
  // A timer or a socket that an app has left open must not keep the command alive.
  process.exit();
}
