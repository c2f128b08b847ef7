/**
 * The load of `http/hello` and `exec/hello`. It answers `run MILLISECONDS PID` with a `LoadRun`, and `polls` with a
 * `PollCount`.
 */
import { runStack } from '../../src/index.js';
import { TcpIp } from '../../src/tcpip/index.js';
import { PollMeter } from '../common/load/poll-meter.js';
import { openLoadPort } from '../common/sides.js';
import { HttpLoop } from './http-loop.js';
import type { HttpLoadSetup } from './setup.js';
import { answerRuns } from './timed-loop.js';

const { bodyBytes, ...setup } = JSON.parse(process.argv[2]) as HttpLoadSetup;
const port = await openLoadPort(setup);
const net = new TcpIp(port.core());
// The loop never sleeps.
net.defer = true;
const meter = new PollMeter(net);
const signal = answerRuns(new HttpLoop(net.tcp, () => meter.now(), bodyBytes), meter);
await runStack(port.core(), meter, { signal });
await port.stop();
process.exit();
