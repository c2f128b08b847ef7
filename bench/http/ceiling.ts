/**
 * The peer `duplex` of `bench -- http`: Node's HTTP server over streams in memory, on one CPU, without a network. It is
 * the ceiling of what any network below `http` can reach.
 *
 * It has as many connections as the load, and each has one request under way. A turn of the event loop brings one
 * request to each connection, as a burst of packets would. It answers `run MILLISECONDS` with a
 * {@link Run}.
 */
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { getRequest } from '../../src/apps/http/client.js';
import { answerRequests } from '../common/bench-process.js';
import { answerWith, HELLO } from './hello.js';
import { type CeilingSetup, CONNECTIONS, type Run } from './setup.js';

type Done = (error?: Error | null) => void;

/** One connection. `http` writes a whole response at a time, because it corks the stream meanwhile. */
class MemoryConnection extends Duplex {
  responses = 0;

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: Done): void {
    this.responses++;
    done();
  }

  override _writev(_chunks: unknown, done: Done): void {
    this.responses++;
    done();
  }
}

const { cpu, host } = JSON.parse(process.argv[2]) as CeilingSetup;
await pinPollingThread(cpu);

const request = Buffer.from(getRequest(host, '/', true));
const server = createServer(answerWith(HELLO));
const connections = Array.from({ length: CONNECTIONS }, () => new MemoryConnection());
for (const connection of connections) server.emit('connection', connection);

function run(milliseconds: number): Promise<Run> {
  const first = answered();
  const cpu = process.cpuUsage();
  const start = performance.now();
  return new Promise((resolve) => {
    const turn = (): void => {
      const now = performance.now();
      if (now - start >= milliseconds) {
        const { user, system } = process.cpuUsage(cpu);
        const took = { seconds: (now - start) / 1000, cpuSeconds: (user + system) / 1e6 };
        resolve({ requests: answered() - first, ...took, p99Us: 0 });
        return;
      }
      for (const connection of connections) connection.push(request);
      setImmediate(turn);
    };
    turn();
  });
}

function answered(): number {
  let sum = 0;
  for (const { responses } of connections) sum += responses;
  return sum;
}

answerRequests(
  ([, milliseconds]) => run(Number(milliseconds)),
  () => process.exit(),
);
