/** Who looks into a process while it is measured: each as a person's command, or Prometheus, would. */
import { CaptureStream } from '../../observe/control/capture-stream.js';
import { ask, findProcesses, hasAnswered } from '../../observe/control/client.js';
import type { ControlFile } from '../../observe/control/files.js';
import { FLOWS_END_MS } from '../../observe/flows/flow-meter.js';

/** Looks into a process until the returned function is called. */
export type Watch = (file: ControlFile, metricsUrl: string) => Promise<() => Promise<void>>;

/** Time between two looks, in ms: as `top` and the live page look, and more often than Prometheus. */
const LOOK_MS = 1000;
/** Bytes of a packet that a capture keeps: the headers. */
const SNAPLEN = 96;

/** Calls `look` now and then every second, one after the other. */
function everySecond(look: () => Promise<unknown>): () => Promise<void> {
  let looking: Promise<unknown> = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, LOOK_MS);
  return async () => {
    clearInterval(timer);
    await looking;
  };
}

const scrape: Watch = async (_, url) =>
  everySecond(async () => {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    await answer.text();
  });

const ASKED = [{ command: 'stats' }, { command: 'flows', limit: 50 }, { command: 'connections', limit: 50 }];

const MAX_ANSWER = 1 << 24;
const isAnything = (value: unknown): value is unknown => value !== undefined;

const looked: Watch = async (file) =>
  everySecond(async () => {
    for (const request of ASKED) {
      const answer = await ask(file, request, MAX_ANSWER, isAnything);
      if (answer === null || !hasAnswered(answer)) throw new Error(`no answer to ${request.command}`);
    }
  });

const captured =
  (request: object): Watch =>
  async (file) => {
    const stream = await CaptureStream.open(file, request);
    const read = stream.read(async () => {});
    return async () => {
      stream.stop();
      await read;
    };
  };

/** Who looks, and how long the process goes on working for him afterwards, in ms. */
interface Watcher {
  readonly watch: Watch;
  readonly leavesMs: number;
}

/** By the name of the row. */
export const WATCHERS: Readonly<Record<string, Watcher>> = {
  metrics: { watch: scrape, leavesMs: 0 },
  // Flows are measured for a while after the last question.
  top: { watch: looked, leavesMs: FLOWS_END_MS },
  'capture-none': { watch: captured({ filter: 'icmp' }), leavesMs: 0 },
  'capture-all': { watch: captured({ snaplen: SNAPLEN }), leavesMs: 0 },
};

/** The control socket of a process. */
export async function controlOf(pid: number): Promise<ControlFile> {
  const [found] = (await findProcesses(String(pid))).filter(hasAnswered);
  if (found === undefined) throw new Error(`process ${pid} does not answer on its control socket`);
  return found;
}
