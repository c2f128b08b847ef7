/**
 * The load of `exec/tls`: Node's TLS over our stack. A connection sends the next request when it has the response; it does
 * no more than that, because TLS alone costs a client as much as a server. It answers `run MILLISECONDS PID` with a
 * `LoadRun`, and `polls` with a `PollCount`.
 */
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { getRequest } from '../../src/apps/http/client.js';
import { NetHost } from '../../src/node/host.js';
import { PollMeter } from '../common/load/poll-meter.js';
import { openLoadPort, SERVER } from '../common/sides.js';
import { HELLO } from './hello.js';
import { CONNECTIONS, HTTPS_PORT, type TlsLoadSetup } from './setup.js';
import { answerRuns, TimedLoop } from './timed-loop.js';

const END = Buffer.from(HELLO);
const OK = Buffer.from('HTTP/1.1 200 ');

/** One connection. */
class Client {
  isOpen = false;
  isWaiting = false;
  private begun = 0;
  private readonly socket: TLSSocket;

  constructor(private readonly loop: TlsLoop) {
    const socket = host.net.connect({ host: SERVER.ip, port: HTTPS_PORT, noDelay: true });
    this.socket = connect({ socket, ca, servername: 'localhost' }, () => {
      this.isOpen = true;
    });
    this.socket.on('data', (bytes: Buffer) => this.receive(bytes));
    this.socket.on('error', (error) => loop.failed(error.message));
    // Node ends a connection that was idle for long, and a request may be under way then.
    this.socket.on('close', () => loop.closed(this));
  }

  send(): void {
    this.isWaiting = true;
    this.begun = performance.now();
    this.socket.write(request);
  }

  private receive(bytes: Buffer): void {
    if (bytes.subarray(0, OK.length).compare(OK) !== 0) {
      this.socket.destroy(new Error(`no response: ${bytes.toString('latin1')}`));
      return;
    }
    if (bytes.subarray(-END.length).compare(END) !== 0) return;
    this.isWaiting = false;
    this.loop.answered(this, performance.now() - this.begun);
  }
}

class TlsLoop extends TimedLoop {
  private readonly clients = new Set<Client>();

  override open(): void {
    super.open();
    while (this.clients.size < CONNECTIONS) this.clients.add(new Client(this));
  }

  get isReady(): boolean {
    if (this.errors > 0) throw new Error(this.fault);
    for (const { isOpen } of this.clients) if (!isOpen) return false;
    return this.clients.size === CONNECTIONS;
  }

  override start(): void {
    super.start();
    this.underWay = this.clients.size;
    for (const client of this.clients) client.send();
  }

  /** @param ms that the response took */
  answered(client: Client, ms: number): void {
    if (!this.isRunning) {
      this.underWay--;
      return;
    }
    this.done++;
    this.record(ms);
    client.send();
  }

  failed(fault: string): void {
    this.wrong(fault);
  }

  closed(client: Client): void {
    this.clients.delete(client);
    if (!client.isWaiting) return;
    this.wrong('the server ended the connection before its response');
    this.underWay--;
  }
}

const { certificate, ...setup } = JSON.parse(process.argv[2]) as TlsLoadSetup;
const ca = readFileSync(certificate);
const request = getRequest(SERVER.ip, '/', true);
const port = await openLoadPort(setup);
const host = new NetHost(port.core());
const { stack } = host;
const meter = new PollMeter({ poll: stack.poll.bind(stack) });
// The host's loop polls in this way, too.
stack.poll = () => meter.poll();
stack.pollAgain = () => meter.pollAgain();
await host.run(answerRuns(new TlsLoop(), meter));
await port.stop();
process.exit();
