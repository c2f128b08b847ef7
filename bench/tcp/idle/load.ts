/**
 * The load of the row of idle connections, for every contestant the same: our stack at the other end of the server's
 * link. It answers `open COUNT` with {@link Opened}, `rate MILLISECONDS` with
 * {@link Rate}, and `close`, which resets the idle connections.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import { openLoadPort, SERVER } from '../../common/sides.js';
import { ECHO_PORTS, type IdleSetup, type Opened, type Rate, REQUEST_BYTES } from './setup.js';

/** Connections whose handshake is under way: fewer than the backlog of the servers, and than a tap's queue. */
const OPENING = 256;
/** Resets per millisecond. */
const RESETS = 128;
/** How long opening may take, in ms. What is open then counts. */
const OPEN_MS = 25_000;

const setup = JSON.parse(process.argv[2]) as IdleSetup;
const port = await openLoadPort(setup);
const net = new TcpIp(port.core(), { maxConnections: setup.connections + OPENING });

const idle = new Set<Connection>();
/** How many are wanted, how many handshakes are under way, and why there are no more. */
let wanted = 0;
let opening = 0;
let why = '';

const idleHandlers = {
  open(c: Connection): void {
    opening--;
    idle.add(c);
    openMore();
  },
  close(c: Connection, error: Error | null): void {
    if (!idle.delete(c)) opening--;
    if (error !== null && why === '') why = error.message;
  },
};

function openMore(): void {
  while (opening < OPENING && idle.size + opening < wanted && why === '') {
    const to = ECHO_PORTS[(idle.size + opening) % ECHO_PORTS.length];
    try {
      net.tcp.connect({ address: SERVER.ip, port: to }, idleHandlers);
      opening++;
    } catch (error) {
      why = (error as Error).message;
    }
  }
}

async function open(count: number): Promise<Opened> {
  const start = performance.now();
  wanted = count;
  openMore();
  while (idle.size < count && performance.now() - start < OPEN_MS && (why === '' || opening > 0)) await sleep(1);
  const seconds = (performance.now() - start) / 1000;
  wanted = 0;
  if (idle.size < count && why === '') why = `there was time for ${idle.size} only`;
  return { opened: idle.size, seconds, why };
}

/** Resets the idle connections, not all at once, because a RST that finds no room in the ring is not sent again. */
async function closeAll(): Promise<void> {
  let count = 0;
  for (const c of idle) {
    c.abort();
    if (++count % RESETS === 0) await sleep(1);
  }
}

const request = new Uint8Array(REQUEST_BYTES).fill(0x55);
let came = 0;
let requests = 0;
let isAsking = false;
let isWaiting = false;

function ask(c: Connection): void {
  isWaiting = true;
  c.write(request);
}

/** The connection with requests. Opened at the first one, because the server starts after the load. */
let active: Promise<Connection> | undefined;

function openActive(): Promise<Connection> {
  return new Promise((resolve) => {
    net.tcp.connect(
      { address: SERVER.ip, port: ECHO_PORTS[0], noDelay: true },
      {
        open: resolve,
        data(c, _bytes, _offset, length) {
          came += length;
          if (came < REQUEST_BYTES) return;
          came = 0;
          requests++;
          isWaiting = false;
          if (isAsking) ask(c);
        },
        close(_c, error) {
          if (!end.signal.aborted) throw error ?? new Error('the server has closed the connection with requests');
        },
      },
    );
  });
}

async function rate(milliseconds: number): Promise<Rate> {
  active ??= openActive();
  const c = await active;
  isAsking = true;
  const before = requests;
  const start = performance.now();
  ask(c);
  await sleep(milliseconds);
  const done = { requests: requests - before, seconds: (performance.now() - start) / 1000 };
  isAsking = false;
  while (isWaiting) await sleep(1);
  return done;
}

const end = new AbortController();
process.once('SIGTERM', () => end.abort());
answerRequests(
  ([what, count]) => (what === 'open' ? open(Number(count)) : what === 'rate' ? rate(Number(count)) : closeAll()),
  () => end.abort(),
);
await net.run(end.signal);
await port.stop();
process.exit();
