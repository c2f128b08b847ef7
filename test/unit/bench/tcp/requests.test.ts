/** The loads of `bench -- tcp`, against an echo of our own in the same process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBackendDevice } from '../../../../bench/common/backend/device.js';
import { limitOf } from '../../../../bench/common/limit.js';
import type { ClosedLoop } from '../../../../bench/common/load/closed-loop.js';
import { busyShare, PollMeter } from '../../../../bench/common/load/poll-meter.js';
import { LOAD, SERVER } from '../../../../bench/common/sides.js';
import { OpenConnections, ShortConnections } from '../../../../bench/tcp/requests/closed-loop.js';
import { requestMessage } from '../../../../bench/tcp/requests/message.js';
import { Paced } from '../../../../bench/tcp/requests/paced.js';
import { ECHO_PORT } from '../../../../bench/tcp/requests/setup.js';
import { type InitOptions, init, type SinglePort } from '../../../../src/index.js';
import { type Connection, TcpIp } from '../../../../src/tcpip/index.js';
import { temporaryDirectory } from '../../../support/resources.js';
import { until } from '../../../support/until.js';

let directory: ReturnType<typeof temporaryDirectory>;
let ports: SinglePort[];
let load: TcpIp;
let server: TcpIp;
/** Connections of the server. */
let served: Connection[];

beforeEach(async () => {
  directory = temporaryDirectory();
  ports = [];
  served = [];
  load = new TcpIp(await open(LOAD, { openDevice: openBackendDevice }), { timeWaitMs: 10 });
  server = new TcpIp(await open(SERVER, {}));
  load.defer = true;
  server.tcp.listen(
    { port: ECHO_PORT, noDelay: true },
    {
      open: (c) => served.push(c),
      data: (c, bytes, offset, length) => void c.write(bytes, offset, length),
      end: (c) => c.end(),
    },
  );
});

afterEach(async () => {
  for (const port of ports.reverse()) await port.stop();
  directory.remove();
});

async function open({ ip, mac }: { ip: string; mac: string }, options: InitOptions) {
  const device = `vhost-user:${directory.path}/s`;
  const port = await init({ device, ip: `${ip}/24`, mac, buffers: 1024, hugepages: 'never' }, options);
  ports.push(port);
  return port.core();
}

const poll = (): void => {
  load.poll();
  server.poll();
};

async function measure(loop: ClosedLoop, requests: number): Promise<void> {
  loop.open();
  await until('all connections open', () => loop.isReady, poll);
  loop.start();
  await until('the responses', () => loop.done >= requests, poll);
  loop.stop();
  await until('the last responses', () => loop.underWay === 0, poll);
}

describe('a load whose next request follows the response', () => {
  it.each([1, 128])('counts responses on %i open connections', async (connections) => {
    const loop = new OpenConnections(load, connections);
    await measure(loop, 500);
    expect(served).toHaveLength(connections);
    expect(loop.errors).toBe(0);
    expect(load.report()).toMatchObject({ tcp_bytes_in: loop.done * 64, tcp_retransmitted_segments: 0 });
    // It goes on after a pause.
    await measure(loop, loop.done + 500);
  });

  it('opens and closes a connection for each request', async () => {
    const loop = new ShortConnections(load, 16);
    await measure(loop, 300);
    await until('the last FIN', () => server.report().tcp_closed === loop.done, poll);
    expect(loop.errors).toBe(0);
    expect(load.report()).toMatchObject({ tcp_opened_active: loop.done, tcp_time_wait_added: loop.done });
    expect(server.report()).toMatchObject({ tcp_opened_passive: loop.done, tcp_time_wait_added: 0 });
  });

  it('counts connections that fail', async () => {
    const loop = new OpenConnections(load, 3);
    loop.open();
    await until('all connections open', () => loop.isReady, poll);
    for (const connection of served) connection.abort();
    await until('the resets', () => loop.errors === 3, poll);
  });
});

describe('a load with a schedule', () => {
  it('sends what is due, and counts from when it was', async () => {
    const paced = new Paced(load, 4);
    paced.open();
    await until('all connections open', () => paced.isReady, poll);
    const start = performance.now();
    paced.start(2000);
    await until(
      'the end of the schedule',
      () => performance.now() - start > 100,
      () => {
        paced.poll();
        poll();
      },
    );
    paced.stop();
    await until('the last responses', () => paced.isIdle, poll);
    const { rate, percentiles, unsent } = paced.result(0.1);
    expect(rate).toBeGreaterThan(0);
    expect(unsent).toBe(0);
    expect(percentiles).toHaveLength(3);
    expect([...percentiles].sort((a, b) => a - b)).toEqual(percentiles);
    expect(percentiles[0]).toBeGreaterThan(0);
    expect(paced.poll()).toBe(0);
  });

  it('counts what it cannot send because nothing is answered', async () => {
    const paced = new Paced(load, 1);
    paced.open();
    await until('all connections open', () => paced.isReady, poll);
    paced.start(1e6);
    await until(
      'a full schedule',
      () => paced.result(1).unsent > 0,
      () => paced.poll(),
    );
    paced.stop();
    await until('the last responses', () => paced.isIdle, poll);
    expect(paced.result(1).rate).toBe(512);
  });
});

it('counts polls in vain, and computes the share of the others', async () => {
  const work = [0, 3, 0, 1];
  const meter = new PollMeter({ poll: () => work.pop() ?? 0 });
  expect(Array.from({ length: 5 }, () => meter.poll())).toEqual([1, 0, 3, 0, 0]);
  expect(meter.count().empty).toBe(3);
  // Half of 100 ms went into 50 empty polls of 1 ms each.
  const idle = [
    { empty: 60, atMs: 300 },
    { empty: 90, atMs: 330 },
    // Here the CPU was shared.
    { empty: 90, atMs: 331 },
    { empty: 91, atMs: 341 },
    { empty: 91, atMs: 342 },
    { empty: 101, atMs: 352 },
  ];
  const share = await busyShare({ empty: 0, atMs: 100 }, { empty: 50, atMs: 200 }, () => idle.shift()!);
  expect(share).toBe(0.5);
});

it('sends messages that sockperf answers', () => {
  const bytes = requestMessage();
  expect([...bytes.slice(0, 14)]).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 64]);
  expect(bytes).toHaveLength(64);
});

it.each([
  [0.95, 0.4, 'server (server busy 95 %, load 40 %)'],
  [0.5, 0.99, 'load (server busy 50 %, load 99 %)'],
  [0.9, 0.9, 'server and load (server busy 90 %, load 90 %)'],
  [0.3, 0.5, 'requests under way (server busy 30 %, load 50 %)'],
])('names what has work all the time: %d, %d', (serverBusy, loadBusy, text) => {
  expect(limitOf(serverBusy, loadBusy)).toBe(text);
});
