/**
 * The thread that answers for a process (`observer.ts`). It sleeps until somebody asks, and asks the main thread only for
 * what the answer needs.
 */
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../drivers/log/message-of.js';
import { Captures } from '../capture/captures.js';
import type { CaptureRequest } from '../capture/request.js';
import type { OpenedCapture } from '../capture/session.js';
import { commandsWith, readArgs } from '../control/commands.js';
import type { ProcessStats, RunningProcess } from '../control/process-info.js';
import { type Request, RequestError } from '../control/requests.js';
import { ControlServer, Stream } from '../control/server.js';
import { FlowMeter } from '../flows/flow-meter.js';
import { MetricsServer } from '../metrics/server.js';
import type { FromObserver, MetricsModule, MetricsStart, ObserverStart, ToObserver } from './messages.js';
import { Questions } from './questions.js';

const start = workerData as ObserverStart;
const port = parentPort;
if (port === null) throw new Error('observer-worker is a thread of a process');
const tell = (message: FromObserver): void => port.postMessage(message);

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };

let { info } = start;
const questions = new Questions((id, what, args) => tell({ type: 'ask', id, what, args }));
const commands = commandsWith(start.questions);
const captures = new Captures(
  {
    open: (wish) => questions.get('openCapture', { ...wish }) as Promise<OpenedCapture>,
    close: (id) => questions.get('closeCapture', { id }),
  },
  `tspmd ${version}`,
);
const flows = new FlowMeter(captures);
const running = (): RunningProcess => ({ pid: process.pid, ...info, version, uptime: process.uptime() });

function refuseUntilReady(): void {
  if (info.state === 'starting') throw new RequestError(`it has not opened ${info.devices.join(', ')} yet`);
}

async function stats(): Promise<ProcessStats> {
  refuseUntilReady();
  const taken = (await questions.get('stats')) as object;
  return { process: { ...running(), loopDelay: questions.delayMs / 1000 }, ...taken };
}

async function answer(request: Request): Promise<unknown> {
  const { command } = request;
  if (command === 'info') return running();
  const args = readArgs(request);
  if (!commands.includes(command)) {
    throw new RequestError(`tspmd ${info.kind} has no ${command}; it has: ${commands.join(', ')}`);
  }
  if (command === 'stats') return stats();
  refuseUntilReady();
  if (command === 'capture')
    return new Stream({ format: 'pcapng' }, await captures.begin(args as unknown as CaptureRequest));
  if (command === 'flows') return flows.largest(args.limit as number);
  return questions.get(command, args);
}

let server: ControlServer | null = null;
let metrics: MetricsServer | null = null;

async function serveMetrics({ module, ...address }: MetricsStart): Promise<MetricsServer> {
  const { familiesOf } = (await import(module)) as MetricsModule;
  return MetricsServer.open(address, async () => familiesOf(await stats()));
}

/** Returns null, or the message of the error. */
const problemOf = (opening: Promise<unknown>): Promise<string | null> => opening.then(() => null, messageOf);

async function openControl(): Promise<void> {
  server = await ControlServer.open(start.path, start.folders, answer);
}

async function openMetrics(): Promise<void> {
  if (start.metrics !== null) metrics = await serveMetrics(start.metrics);
}

async function open(): Promise<void> {
  const controlProblem = await problemOf(openControl());
  const metricsProblem = await problemOf(openMetrics());
  tell({ type: 'open', controlProblem, metricsProblem, metricsPort: metrics?.port ?? 0 });
}

const opening = open();

port.on('message', async (message: ToObserver) => {
  if (message.type === 'info') info = message.info;
  else if (message.type === 'answer') questions.take(message.id, message.seenAt, message);
  else {
    await opening;
    await Promise.all([flows.end(), captures.end()]);
    await Promise.all([server?.close(), metrics?.close()]);
    port.close();
  }
});
