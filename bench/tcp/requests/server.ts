/**
 * Our server: an echo above the stack's own interface, which spins on its CPU. It answers `polls` with a `PollCount`, and
 * `busy` with a `BusyTime`.
 */
import { init, runStack } from '../../../src/index.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { busyTimeOf } from '../../common/load/busy-time.js';
import { PollMeter } from '../../common/load/poll-meter.js';
import type { ServerPlace } from '../../common/sides.js';
import { ECHO_PORT } from './setup.js';

const { cpu, ...place } = JSON.parse(process.argv[2]) as ServerPlace;
const port = await init({ ...place, cores: [cpu], idle: 'spin' });
const net = new TcpIp(port.core());
net.tcp.listen(
  { port: ECHO_PORT, noDelay: true, backlog: 65_535 },
  {
    data: (connection, bytes, offset, length) => void connection.write(bytes, offset, length),
    end: (connection) => connection.end(),
  },
);

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const meter = new PollMeter(net);
answerRequests(
  ([what]) => (what === 'busy' ? busyTimeOf(port) : meter.count()),
  () => stop.abort(),
);
await runStack(port.core(), meter, { signal: stop.signal });
await port.stop();
process.exit();
