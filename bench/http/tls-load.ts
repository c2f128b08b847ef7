/**
 * The load of `exec/tls`: Node's TLS over our stack. A connection sends the next request when it has the response; it does
 * no more than that, because TLS alone costs a client as much as a server. It answers `run MILLISECONDS PID` with a {@link Run}.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { getRequest } from '../../src/apps/http/client.js';
import { Latencies } from '../../src/cli/get/latencies.js';
import { NetHost } from '../../src/node/host.js';
import type { TcpIp } from '../../src/tcpip/index.js';
import { answerRequests } from '../common/bench-process.js';
import { cpuSeconds } from '../common/cpus.js';
import { openLoadPort, SERVER } from '../common/sides.js';
import { HELLO } from './hello.js';
import { CONNECTIONS, HTTPS_PORT, type Run, type TlsLoadSetup } from './setup.js';

const PATIENCE_MS = 20_000;
const END = Buffer.from(HELLO);
const OK = Buffer.from('HTTP/1.1 200 ');

/** Splits the time of a loop that spins: a turn is busy when its poll found something. */
class Turns {
  busyMs = 0;
  idleMs = 0;
  private last = performance.now();
  private wasBusy = false;

  constructor(stack: TcpIp) {
    const poll = stack.poll.bind(stack);
    stack.poll = () => {
      const now = performance.now();
      if (this.wasBusy) this.busyMs += now - this.last;
      else this.idleMs += now - this.last;
      this.last = now;
      const found = poll();
      this.wasBusy = found > 0;
      return found;
    };
  }
}

/** One connection. */
class Client {
  isOpen = false;
  isWaiting = false;
  private begun = 0;
  private readonly socket: TLSSocket;

  constructor(private readonly round: Round) {
    const socket = host.net.connect({ host: SERVER.ip, port: HTTPS_PORT, noDelay: true });
    this.socket = connect({ socket, ca, servername: 'localhost' }, () => {
      this.isOpen = true;
    });
    this.socket.on('data', (bytes: Buffer) => this.receive(bytes));
    this.socket.on('error', (error) => round.fail(error));
  }

  send(): void {
    this.isWaiting = true;
    this.begun = performance.now();
    this.socket.write(request);
  }

  end(): void {
    this.socket.destroy();
  }

  private receive(bytes: Buffer): void {
    const { round } = this;
    if (bytes.subarray(0, OK.length).compare(OK) !== 0)
      round.fail(new Error(`no response: ${bytes.toString('latin1')}`));
    if (bytes.subarray(-END.length).compare(END) !== 0) return;
    this.isWaiting = false;
    round.answered(performance.now() - this.begun);
    if (round.isRunning) this.send();
  }
}

/** The connections of one run, and what they have measured. */
class Round {
  isRunning = false;
  private done = 0;
  private fault: Error | null = null;
  private readonly latencies = new Latencies();
  private readonly clients = Array.from({ length: CONNECTIONS }, () => new Client(this));

  answered(ms: number): void {
    this.done++;
    this.latencies.record(ms);
  }

  fail(error: Error): void {
    this.fault ??= error;
  }

  async run(milliseconds: number, server: number): Promise<Run> {
    try {
      await this.until((client) => client.isOpen);
      const { busyMs, idleMs } = turns;
      const cpu = cpuSeconds(server);
      const start = performance.now();
      this.isRunning = true;
      for (const client of this.clients) client.send();
      await sleep(milliseconds);
      const seconds = (performance.now() - start) / 1000;
      const requests = this.done;
      const used = cpuSeconds(server) - cpu;
      const busy = turns.busyMs - busyMs;
      this.isRunning = false;
      await this.until((client) => !client.isWaiting);
      const p99Us = this.latencies.summary().p99;
      return { requests, seconds, cpuSeconds: used, p99Us, busy: busy / (busy + turns.idleMs - idleMs) };
    } finally {
      for (const client of this.clients) client.end();
    }
  }

  private async until(is: (client: Client) => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.clients.every(is)) {
      if (this.fault !== null) throw this.fault;
      if (performance.now() > deadline) throw new Error(`TLS: not all connections are ready in ${PATIENCE_MS} ms`);
      await sleep(1);
    }
  }
}

const { certificate, ...setup } = JSON.parse(process.argv[2]) as TlsLoadSetup;
const ca = readFileSync(certificate);
const request = getRequest(SERVER.ip, '/', true);
const port = await openLoadPort(setup);
const host = new NetHost(port.core());
const turns = new Turns(host.stack);

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
answerRequests(
  ([, milliseconds, pid]) => new Round().run(Number(milliseconds), Number(pid)),
  () => stop.abort(),
);
await host.run(stop.signal);
await port.stop();
process.exit();
