/**
 * The client of `bench -- kernel`. It keeps a window of requests under way, through a vhost-user socket, or through a
 * tap device to the kernel. It answers a request of MILLISECONDS with a {@link Run}.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pinPollingThread, Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { TapDevice } from '../../drivers/transports/tap.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { answerRequests } from '../common/bench-process.js';
import { udpFrame } from '../common/frames.js';
import { RoundTrips } from '../common/round-trips.js';
import { CLIENT, type Run, SERVER, type Setup } from './setup.js';

const ECHO_PORT = 7;
const BYTES = 64;
/** Requests under way. The default buffer of a socket holds more. */
const WINDOW = 128;
/** When no answer comes for this long, all requests under way count as lost. */
const LOST_MS = 100;
/** Rounds between two looks at the clock. */
const ROUNDS = 64;

function open(setup: Setup): PacketEndpoint {
  const options = { reactor: new Reactor(), windows: new WindowAllocator() };
  if (setup.transport === 'tap') return TapDevice.open(setup.name, options);
  const backend = new VhostUserBackend({ ...options, path: setup.name });
  process.on('exit', () => backend.close());
  return backend.pairs[0];
}

async function run(trips: RoundTrips, milliseconds: number): Promise<Run> {
  trips.forget();
  const start = performance.now();
  let now = start;
  let answered = 0;
  let last = start;
  while (now - start < milliseconds) {
    let came = 0;
    for (let i = 0; i < ROUNDS; i++) {
      const room = WINDOW - trips.outstanding;
      if (room > 0) trips.send(room);
      came += trips.receive();
    }
    now = performance.now();
    if (came > 0) last = now;
    else if (now - last > LOST_MS) {
      answered += trips.answered;
      trips.forget();
      last = now;
    }
    // The event loop reports frames of the kernel, and peers that connect and disconnect.
    await nextTurn();
  }
  return { requests: answered + trips.answered, seconds: (now - start) / 1000 };
}

const setup = JSON.parse(process.argv[2]) as Setup;
await pinPollingThread(setup.cpu);
const trips = new RoundTrips(open(setup), udpFrame(BYTES, CLIENT, SERVER, ECHO_PORT), null);
process.once('SIGTERM', () => process.exit());
answerRequests(
  ([milliseconds]) => run(trips, Number(milliseconds)),
  () => process.exit(),
);
