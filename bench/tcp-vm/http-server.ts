/** The app `http`, as `tspmd run --app http --idle spin` runs it. It answers `busy` with a `BusyTime`. */
import createHttp from '../../src/apps/http.js';
import { init, runStack } from '../../src/index.js';
import { answerRequests } from '../common/bench-process.js';
import { busyTimeOf } from '../common/load/busy-time.js';
import type { ServerPlace } from '../common/sides.js';

const { cpu, ...place } = JSON.parse(process.argv[2]) as ServerPlace;
const port = await init({ ...place, cores: [cpu], idle: 'spin' });

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
answerRequests(
  () => busyTimeOf(port),
  () => stop.abort(),
);
await runStack(port.core(), createHttp(port.core()), { signal: stop.signal });
await port.stop();
process.exit();
