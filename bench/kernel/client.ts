/**
 * The client of `bench -- kernel`, the same for both servers: a hundred-odd requests are under way all the time, through a
 * vhost-user socket or into the kernel through a tap device. Asked for MILLISECONDS, it answers with a {@link Run}.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pinPollingThread, Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { TapDevice } from '../../drivers/transports/tap.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { udpFrame } from '../common/frames.js';
import { RoundTrips } from '../common/round-trips.js';
import { serve } from '../common/serve.js';
import { CLIENT, type Run, SERVER, type Setup } from './setup.js';

const ECHO_PORT = 7;
const BYTES = 64;
/** Requests under way: fewer than a socket's buffer holds by default. */
const WINDOW = 128;
/** Without an answer for so long the requests under way are taken for lost. */
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
    // The kernel's frames are announced on the event loop; and it is where our own peers come and go.
    await nextTurn();
  }
  return { requests: answered + trips.answered, seconds: (now - start) / 1000 };
}

const setup = JSON.parse(process.argv[2]) as Setup;
await pinPollingThread(setup.cpu);
const trips = new RoundTrips(open(setup), udpFrame(BYTES, CLIENT, SERVER, ECHO_PORT), 0);
process.once('SIGTERM', () => process.exit());
serve(
  ([milliseconds]) => run(trips, Number(milliseconds)),
  () => process.exit(),
);
