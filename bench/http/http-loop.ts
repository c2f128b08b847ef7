/** HTTP requests on connections that stay open, each with one request under way. Each response is checked. */
import { CLIENT_HANDLERS, type ClientOwner, getRequest, HttpClient } from '../../src/apps/http/client.js';
import type { Tcp } from '../../src/tcpip/index.js';
import { SERVER } from '../common/sides.js';
import { CONNECTIONS, HTTP_PORT } from './setup.js';
import { TimedLoop } from './timed-loop.js';

const OK = 200;

/** A client, with the time at which its request began. */
class Client extends HttpClient {
  begun = 0;
}

export class HttpLoop extends TimedLoop {
  private readonly request = getRequest(SERVER.ip, '/', true);
  private readonly clients = new Set<Client>();
  private readonly owner: ClientOwner = {
    head() {},
    content() {},
    done: (client) => this.answered(client as Client),
    failed: (_, why, message) => this.failed(`${why}: ${message}`),
    closed: (client) => this.clients.delete(client as Client),
  };

  /**
   * @param now the time of a poll, in ms
   * @param bodyBytes length of the body of each response
   */
  constructor(
    private readonly tcp: Pick<Tcp, 'connect'>,
    private readonly now: () => number,
    private readonly bodyBytes: number,
  ) {
    super();
  }

  /** A connection is open when it has answered a first request. */
  override open(): void {
    super.open();
    while (this.clients.size < CONNECTIONS) this.connect();
  }

  get isReady(): boolean {
    return this.clients.size === CONNECTIONS && this.underWay === 0;
  }

  override start(): void {
    super.start();
    this.underWay = this.clients.size;
    const now = this.now();
    for (const client of this.clients) this.send(client, now);
  }

  override close(): void {
    for (const client of this.clients) client.end();
  }

  private connect(): void {
    const client = new Client(this.request, this.owner);
    this.clients.add(client);
    this.underWay++;
    client.attach(this.tcp.connect({ address: SERVER.ip, port: HTTP_PORT, noDelay: true }, CLIENT_HANDLERS));
  }

  private send(client: Client, now: number): void {
    client.begun = now;
    client.send();
  }

  private answered(client: Client): void {
    const { status } = client.response;
    const { received } = client.body;
    if (status !== OK || received !== this.bodyBytes) this.wrong(`status ${status}, ${received} bytes of content`);
    if (this.isRunning) {
      const now = this.now();
      this.done++;
      this.record(now - client.begun);
      if (client.canSend) {
        this.send(client, now);
        return;
      }
      this.wrong('the server ends the connection after a response');
    }
    this.underWay--;
  }

  private failed(why: string): void {
    this.underWay--;
    this.wrong(why);
  }
}
