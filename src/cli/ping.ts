/** `tspmd ping`: works like ping(8), over our driver instead of the kernel. */
import { createDemux } from '../apps/demux.js';
import { Echo } from '../apps/echo.js';
import { Pinger } from '../apps/pinger.js';
import { init, runStack, type SinglePort } from '../index.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { whyNoAnswer } from './output/arp-watch.js';
import { addressText, showLease } from './output/lease-lines.js';
import { neverWaitForTerminal, print } from './output/lines.js';
import { limitedLinkLines } from './output/link-lines.js';
import { dropCounts, dropsText } from './output/rates.js';
import { unlessStopped, untilStopped } from './shutdown.js';

export interface PingCommandOptions extends DeviceOptions {
  to: string;
  count?: number;
  /** Time between two requests in seconds. */
  interval: number;
  /** Smallest and largest payload in bytes. */
  size: [number, number];
  quiet?: boolean;
  /** How long an answer may take, in seconds. */
  timeout: number;
}

export async function ping(options: PingCommandOptions): Promise<void> {
  neverWaitForTerminal();
  const stopRequested = untilStopped();
  const port = await unlessStopped(stopRequested, (signal) =>
    init({ ...deviceConfig(options), mode: 'single' }, { signal }),
  );
  if (port === null) return;
  try {
    await pingOver(port, options, stopRequested);
  } finally {
    await port.stop();
  }
}

async function pingOver(port: SinglePort, options: PingCommandOptions, stopRequested: Promise<void>): Promise<void> {
  const core = port.core();
  port.on('link', limitedLinkLines());
  const [least, largest] = options.size;
  const onReply = (sequence: number, milliseconds: number, ttl: number, bytes: number): void =>
    print(`${bytes} bytes from ${options.to}: icmp_seq=${sequence} ttl=${ttl} time=${milliseconds.toFixed(3)} ms`);
  const onLost = (sequence: number): void => print(`no answer from ${options.to}: icmp_seq=${sequence}`);
  const pinger = new Pinger(core, {
    to: options.to,
    count: options.count,
    intervalMs: options.interval * 1000,
    timeoutMs: options.timeout * 1000,
    payloadBytes: least,
    maxPayloadBytes: largest,
    ...(options.quiet ? {} : { onReply, onLost }),
  });
  const stop = new AbortController();
  void stopRequested.then(() => stop.abort());
  // The other host may ping us, too.
  const stack = createDemux(core, [new Echo(core), pinger]);
  const untilDone = {
    poll(): number {
      const work = stack.poll();
      if (pinger.isDone) stop.abort();
      return work;
    },
    maxSleepMs: () => stack.maxSleepMs?.() ?? 0,
  };
  showLease(port, print);
  const size = largest === least ? least : `${least} to ${largest}`;
  print(`PING ${options.to} with ${size} bytes of data from ${addressText(port)} on ${port.name}`);
  await runStack(core, untilDone, { signal: stop.signal });

  const { ping_sent: sent = 0, ping_received: received = 0, ping_corrupt: corrupt = 0 } = pinger.report();
  const loss = sent === 0 ? 0 : (100 * (sent - received)) / sent;
  print(`--- ${options.to} ping statistics ---`);
  print(
    `${sent} packets transmitted, ${received} received${corrupt > 0 ? `, ${corrupt} corrupt` : ''}, ` +
      `${Number(loss.toFixed(2))}% packet loss`,
  );
  const drops = dropsText(dropCounts(port.counters()));
  if (drops !== 'none') print(`dropped here: ${drops}`);
  const times = pinger.roundTrips();
  if (times) {
    const ms = [times.minUs, times.meanUs, times.maxUs].map((us) => (us / 1000).toFixed(3)).join('/');
    print(`rtt min/avg/max = ${ms} ms, p50 ${(times.p50Us / 1000).toFixed(3)}, p99 ${(times.p99Us / 1000).toFixed(3)}`);
  }
  if (received > 0) return;
  if (sent > 0) print(whyNoAnswer(port, core, options.to));
  // The exit code of ping(8) when there was no answer.
  process.exitCode = 1;
}
