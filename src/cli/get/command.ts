/**
 * `tspmd get`: an HTTP/1.1 client over the driver. It gets one resource, as curl does, or sends many requests and
 * measures, as wrk and mTCP's epwget do.
 */
import { basename } from 'node:path';
import { offloadNames } from '../../../drivers/offloads.js';
import { init, parseIpv4, runStack, type SinglePort } from '../../index.js';
import { TcpIp } from '../../tcpip/index.js';
import { type DeviceOptions, deviceConfig } from '../device-options.js';
import { whyNoAnswer } from '../output/arp-watch.js';
import { showLease } from '../output/lease-lines.js';
import { neverWaitForTerminal, print, warn } from '../output/lines.js';
import { limitedLinkLines } from '../output/link-lines.js';
import { unlessStopped, untilStopped } from '../shutdown.js';
import { Download, DownloadError, type DownloadResult } from './download.js';
import { Load } from './load.js';
import { loadJson, loadText } from './load-report.js';
import { Output } from './output.js';
import { Progress } from './progress.js';
import { parseTarget, type Target } from './target.js';

export interface GetCommandOptions extends DeviceOptions {
  output?: string;
  hash?: string;
  progress?: boolean;
  json?: boolean;
  /** How long the server may be silent, in seconds. */
  timeout: number;
  connections?: number;
  requests?: number;
  keepAlive: boolean;
}

/** Connections of the stack beyond those that are measured: ones that are being closed. */
const SPARE_CONNECTIONS = 1024;
/** How long the goodbye of a download may take, in ms. */
const GOODBYE_MS = 1000;

export async function get(url: string, options: GetCommandOptions): Promise<void> {
  const target = parseTarget(url);
  neverWaitForTerminal();
  const stopRequested = untilStopped();
  const port = await unlessStopped(stopRequested, (signal) =>
    init({ offloads: 'auto', ...deviceConfig(options), mode: 'single' }, { signal }),
  );
  if (port === null) return;
  port.on('link', limitedLinkLines());
  // Not to stdout, which has the content.
  showLease(port, warn);
  const stop = new AbortController();
  try {
    const net = new TcpIp(port.core(), { maxConnections: (options.connections ?? 1) + SPARE_CONNECTIONS });
    const running = runStack(port.core(), net, { signal: stop.signal });
    const work = isLoad(options) ? load(port, net, target, options) : download(port, net, target, options);
    const stopped = stopRequested.then(() => {
      throw new Error(`${target.url}: stopped before the end`);
    });
    await Promise.race([work, stopped, running]);
    stop.abort();
    await running;
  } finally {
    stop.abort();
    await port.stop();
  }
}

function isLoad({ connections, requests }: GetCommandOptions): boolean {
  return connections !== undefined || requests !== undefined;
}

async function load(port: SinglePort, { tcp }: TcpIp, target: Target, options: GetCommandOptions): Promise<void> {
  const { connections = 1, requests = connections, keepAlive, timeout, json } = options;
  const run = new Load(tcp, target, {
    connections: Math.min(connections, requests),
    requests,
    keepAlive,
    timeoutMs: timeout * 1000,
  });
  const result = await run.finished;
  const all = { ...loadJson(target, result), offloads: offloadNames(port.offloads) };
  print(json ? JSON.stringify(all) : loadText(result));
  if (result.failed > 0) process.exitCode = 1;
}

async function download(port: SinglePort, { tcp }: TcpIp, target: Target, options: GetCommandOptions): Promise<void> {
  const { hash, json, timeout } = options;
  // A hash alone is a question about the content: nobody asked for the content itself.
  const file = options.output ?? (hash === undefined && !json ? '-' : null);
  let drained = (): void => {};
  const output = new Output(file, hash ?? null, () => drained());
  const transfer = new Download(tcp, target, timeout * 1000, output);
  drained = () => transfer.drained();
  const progress = showsProgress(options, file) ? new Progress((text) => process.stderr.write(text)) : null;
  const shown = setInterval(() => progress?.update(transfer.received, transfer.total), 50);
  try {
    const result = await transfer.finished;
    await output.end();
    if (output.error !== null) throw new DownloadError(`cannot write the content: ${output.error.message}`);
    progress?.update(result.bytes, result.bytes);
    progress?.stop();
    report(port, target, options, file, result, output.digest());
  } catch (error) {
    progress?.stop();
    await output.end();
    const part = file !== null && file !== '-' && transfer.received > 0 ? `; ${file} is incomplete` : '';
    if (!(error instanceof DownloadError)) throw error;
    throw new Error(`${target.url}: ${error.message}${part}${whyUnreachable(port, target)}`);
  } finally {
    clearInterval(shown);
    const late = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref());
    await Promise.race([transfer.gone, late]);
  }
}

/** Explains a server whose MAC address is not known; empty otherwise. */
function whyUnreachable(port: SinglePort, { address }: Target): string {
  const core = port.core();
  return core.nextHopMac(parseIpv4(address)) === null ? `; ${whyNoAnswer(port, core, address)}` : '';
}

/** On a terminal, unless the content itself goes there. */
function showsProgress({ progress }: GetCommandOptions, file: string | null): boolean {
  return progress ?? (process.stderr.isTTY === true && !(file === '-' && process.stdout.isTTY === true));
}

function report(
  port: SinglePort,
  target: Target,
  { hash, json }: GetCommandOptions,
  file: string | null,
  result: DownloadResult,
  digest: string | null,
): void {
  if (json) {
    const hashed = digest === null ? {} : { [hash ?? '']: digest };
    print(JSON.stringify({ url: target.url, ...result, ...hashed, offloads: offloadNames(port.offloads) }));
  } else if (digest !== null) {
    // As sha256sum has it. On stderr when stdout has the content.
    const line = `${digest}  ${file === null || file === '-' ? target.url : basename(file)}`;
    if (file === '-') warn(line);
    else print(line);
  }
}
