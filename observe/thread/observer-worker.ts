/**
 * The thread that answers for a process (`observer.ts`). It sleeps until somebody asks, and asks the main thread only for
 * what the answer needs.
 */
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../drivers/log/message-of.js';
import type { ProcessStats, RunningProcess } from '../control/process-info.js';
import { type Request, RequestError } from '../control/requests.js';
import { ControlServer } from '../control/server.js';
import { MetricsServer } from '../metrics/server.js';
import type { FromObserver, MetricsModule, MetricsStart, ObserverStart, ToObserver } from './messages.js';
import { Snapshots } from './snapshots.js';

const start = workerData as ObserverStart;
const port = parentPort;
if (port === null) throw new Error('observer-worker is a thread of a process');
const tell = (message: FromObserver): void => port.postMessage(message);

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };

let { info } = start;
const snapshots = new Snapshots(() => tell({ type: 'snapshot' }));
const running = (): RunningProcess => ({ pid: process.pid, ...info, version, uptime: process.uptime() });

async function stats(): Promise<ProcessStats> {
  if (info.state === 'starting') throw new RequestError(`it has not opened ${info.devices.join(', ')} yet`);
  const taken = (await snapshots.get()) as { readonly fault?: string };
  if (taken.fault !== undefined) throw new RequestError(`its counters cannot be taken: ${taken.fault}`);
  return { process: { ...running(), loopDelay: snapshots.delayMs / 1000 }, ...taken };
}

async function answer({ command }: Request): Promise<object> {
  if (command === 'info') return running();
  if (command === 'stats') return stats();
  throw new RequestError(`there is no command '${command.slice(0, 32)}': info and stats are known`);
}

let server: ControlServer | null = null;
let metrics: MetricsServer | null = null;

async function serveMetrics({ module, ...address }: MetricsStart): Promise<MetricsServer> {
  const { familiesOf } = (await import(module)) as MetricsModule;
  return MetricsServer.open(address, async () => familiesOf(await stats()));
}

async function open(): Promise<void> {
  let problem: string | null = null;
  try {
    server = await ControlServer.open(start.path, start.folders, answer);
    if (start.metrics !== null) metrics = await serveMetrics(start.metrics);
  } catch (error) {
    problem = messageOf(error);
  }
  tell({ type: 'open', problem, hasSocket: server !== null, metricsPort: metrics?.port ?? 0 });
}

const opening = open();

port.on('message', async (message: ToObserver) => {
  if (message.type === 'info') info = message.info;
  else if (message.type === 'snapshot') snapshots.take(message.value, message.seenAt);
  else {
    await opening;
    await Promise.all([server?.close(), metrics?.close()]);
    port.close();
  }
});
