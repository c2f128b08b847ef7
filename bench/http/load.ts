/**
 * The load of `http/hello` and `exec/hello`: the generator of `tspmd get --requests`. It answers `run MILLISECONDS PID` with
 * a {@link Run}.
 */
import { Load } from '../../src/cli/get/load.js';
import { parseTarget } from '../../src/cli/get/target.js';
import { TcpIp } from '../../src/tcpip/index.js';
import { answerRequests } from '../common/bench-process.js';
import { busyPart, busyTimeOf } from '../common/busy-time.js';
import { cpuSeconds } from '../common/cpus.js';
import { type LoadSetup, openLoadPort, SERVER } from '../common/sides.js';
import { CONNECTIONS, type Run } from './setup.js';

const TIMEOUT_MS = 10_000;
/** Requests of the first run, whose rate is not known yet. */
const FIRST_REQUESTS = 2000;

const setup = JSON.parse(process.argv[2]) as LoadSetup;
const target = parseTarget(`http://${SERVER.ip}/`);
const port = await openLoadPort(setup);
const net = new TcpIp(port.core());
let perMs = 0;

async function run(milliseconds: number, server: number): Promise<Run> {
  const busy = busyTimeOf(port);
  const cpu = cpuSeconds(server);
  const requests = Math.max(Math.round(perMs * milliseconds), FIRST_REQUESTS);
  const options = { connections: CONNECTIONS, requests, keepAlive: true, timeoutMs: TIMEOUT_MS };
  const { done, failed, seconds, latencyUs, errors } = await new Load(net.tcp, target, options).finished;
  if (failed > 0) throw new Error(`${failed} requests have failed: ${JSON.stringify(errors)}`);
  perMs = done / seconds / 1000;
  return {
    requests: done,
    seconds,
    cpuSeconds: cpuSeconds(server) - cpu,
    p99Us: latencyUs.p99,
    busy: busyPart(busy, busyTimeOf(port)),
  };
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
answerRequests(
  ([, milliseconds, pid]) => run(Number(milliseconds), Number(pid)),
  () => stop.abort(),
);
await net.run(stop.signal);
await port.stop();
process.exit();
