/**
 * The load, on the host: our stack above a port of the embedded switch, which runs in the same thread. The guest is at the
 * other port. It does the work of one row at a time: `open WORK` (a {@link Work} as JSON), then any number of `window
 * MILLISECONDS`, and `close`. Each is answered with an {@link Answer}.
 */
import { init } from '../../src/index.js';
import { TcpIp } from '../../src/tcpip/index.js';
import { answerRequests } from '../common/bench-process.js';
import { LOAD } from '../common/sides.js';
import type { Answer, LoadSetup, Window, Work } from './rows.js';
import { openSwitchedDevice, switchBusyMs } from './switched-device.js';
import { openWork, type WorkUnderWay } from './work.js';

/** So that ports come round. */
const TIME_WAIT_MS = 10;

const { socket, cpu } = JSON.parse(process.argv[2]) as LoadSetup;
const port = await init(
  {
    ...{ device: `vhost-user:${socket}`, ip: `${LOAD.ip}/24`, mac: LOAD.mac, cores: [cpu] },
    ...{ offloads: 'auto', idle: 'spin', hugepages: 'never' },
  },
  { openDevice: openSwitchedDevice },
);
const net = new TcpIp(port.core(), { timeWaitMs: TIME_WAIT_MS });
let work: WorkUnderWay | null = null;

async function window(milliseconds: number): Promise<Window> {
  if (work === null) throw new Error('no work was opened');
  const before = { ...port.counters(), switched: switchBusyMs() };
  const start = performance.now();
  const { done, seconds } = await work.measure(milliseconds);
  const ms = performance.now() - start;
  const busy = (port.counters().loop_busy_ms - before.loop_busy_ms) / ms;
  return { done, seconds, busy, switchBusy: (switchBusyMs() - before.switched) / ms };
}

async function close(): Promise<null> {
  const last = work;
  work = null;
  await last?.close();
  return null;
}

async function open(wanted: Work): Promise<null> {
  await close().catch(() => {});
  work = await openWork(net, wanted);
  return null;
}

async function answer([what, argument]: readonly string[]): Promise<Answer> {
  try {
    if (what === 'window') return { value: await window(Number(argument)) };
    return { value: await (what === 'open' ? open(JSON.parse(argument) as Work) : close()) };
  } catch (error) {
    // The other rows are measured.
    return { fault: (error as Error).message };
  }
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
answerRequests(answer, () => stop.abort());
await net.run(stop.signal);
await port.stop();
process.exit();
