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
import type { Served } from '../http/address.js';
import { HttpServer } from '../http/server.js';
import { metricsRoute } from '../metrics/route.js';
import { gather } from '../page/news.js';
import { viewerFamilies } from '../page/page-metrics.js';
import { pageRoutes } from '../page/routes.js';
import { Viewers } from '../page/viewers.js';
import type { FromObserver, MetricsModule, ObserverStart, ToObserver } from './messages.js';
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
let http: HttpServer | null = null;
const viewers: Viewers = new Viewers(async () => JSON.stringify(await gather(running, answer, () => viewers.counts)));

async function serve({ module, hasPage, option, host, port }: Served): Promise<HttpServer> {
  const { familiesOf } = (await import(module)) as MetricsModule;
  const families = async () => [...familiesOf(await stats()), ...(hasPage ? viewerFamilies(viewers.counts) : [])];
  const pages = hasPage ? pageRoutes(viewers, host) : [];
  return HttpServer.open({ host, port }, option, new Map([...pages, ['/metrics', metricsRoute(families)]]));
}

/** Returns null, or the message of the error. */
const problemOf = (opening: Promise<unknown>): Promise<string | null> => opening.then(() => null, messageOf);

async function openControl(): Promise<void> {
  server = await ControlServer.open(start.path, start.folders, answer);
}

async function openHttp(): Promise<void> {
  if (start.serve !== null) http = await serve(start.serve);
}

async function open(): Promise<void> {
  const controlProblem = await problemOf(openControl());
  const serveProblem = await problemOf(openHttp());
  tell({ type: 'open', controlProblem, serveProblem, servedPort: http?.port ?? 0 });
}

const opening = open();

port.on('message', async (message: ToObserver) => {
  if (message.type === 'info') info = message.info;
  else if (message.type === 'answer') questions.take(message.id, message.seenAt, message);
  else {
    await opening;
    viewers.close();
    await Promise.all([flows.end(), captures.end()]);
    await Promise.all([server?.close(), http?.close()]);
    port.close();
  }
});
