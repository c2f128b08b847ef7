/** Starts and stops the traffic of all endpoints and collects their tallies, over a unix socket to which each core connects. */
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Hello, Order } from './numbered.app.js';
import { type CoreReport, sumOf } from './tallies.js';

/** For a core on a machine that is busy. */
const PATIENCE_MS = 30_000;

class CoreLink {
  private readonly waiting: { resolve: (report: CoreReport) => void; reject: (error: Error) => void }[] = [];

  constructor(
    readonly hello: Hello,
    private readonly socket: Socket,
  ) {}

  order(order: Order): void {
    this.socket.write(`${order}\n`);
  }

  ask(order: 'tell' | 'collect'): Promise<CoreReport> {
    this.order(order);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  answered(line: string): void {
    this.waiting.shift()?.resolve(JSON.parse(line) as CoreReport);
  }

  gone(): void {
    for (const { reject } of this.waiting.splice(0)) reject(new Error(`endpoint ${this.hello.endpoint} is gone`));
  }
}

export class EndpointControl {
  private readonly links = new Set<CoreLink>();
  private readonly sockets = new Set<Socket>();
  private isRunning = false;
  private changed: () => void = () => {};

  private constructor(private readonly server: Server) {
    server.on('connection', (socket) => this.meet(socket));
  }

  static async listen(path: string): Promise<EndpointControl> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    return new EndpointControl(server);
  }

  /** Resolves when all cores of that life of the endpoint are there. */
  async joined(endpoint: number, epoch: number): Promise<void> {
    const isThere = (): boolean => {
      const cores = this.coresOf(endpoint).filter(({ hello }) => hello.epoch === epoch);
      return cores.length > 0 && cores.length === cores[0]!.hello.cores;
    };
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`endpoint ${endpoint} has not connected to the test`)), PATIENCE_MS);
      this.changed = () => isThere() && resolve();
      this.changed();
    }).finally(() => clearTimeout(timer));
  }

  /** Everybody sends, also those that come later. */
  go(): void {
    this.isRunning = true;
    for (const link of this.links) link.order('go');
  }

  /** Nobody begins to send anything new. */
  pause(): void {
    this.isRunning = false;
    for (const link of this.links) link.order('pause');
  }

  /** What an endpoint's cores have seen. Rejects when it is, or goes, away. */
  async report(endpoint: number, order: 'tell' | 'collect' = 'tell'): Promise<CoreReport> {
    const cores = this.coresOf(endpoint);
    if (cores.length === 0) throw new Error(`endpoint ${endpoint} is not there`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`endpoint ${endpoint} does not answer`)), PATIENCE_MS);
    });
    const reports = Promise.all(cores.map((core) => core.ask(order)));
    return sumOf(await Promise.race([reports, late]).finally(() => clearTimeout(timer)));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private coresOf(endpoint: number): CoreLink[] {
    return [...this.links].filter(({ hello }) => hello.endpoint === endpoint);
  }

  private meet(socket: Socket): void {
    let link: CoreLink | null = null;
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.sockets.delete(socket);
      if (link === null) return;
      this.links.delete(link);
      link.gone();
    });
    createInterface({ input: socket }).on('line', (line) => {
      if (link !== null) {
        link.answered(line);
        return;
      }
      link = new CoreLink(JSON.parse(line) as Hello, socket);
      this.links.add(link);
      if (this.isRunning) link.order('go');
      this.changed();
    });
  }
}
