/**
 * The control socket of a process: answers requests ({@link parseRequest}) of its user and of root. Whoever asks too much
 * is slowed down or refused.
 */
import { chmodSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { messageOf } from '../../drivers/log/message-of.js';
import { controlFiles, isAlive, isOurs, removeStale } from './files.js';
import { MAX_REQUEST, parseRequest, type Reply, type Request } from './requests.js';
import { Throttle } from './throttle.js';

/** The most connections at a time. */
const MAX_CLIENTS = 64;
/** A connection on which nothing moves for this long is closed, in ms. */
const SILENT_MS = 30_000;
/** How many requests of all clients are answered per second. More requests wait. */
const REQUESTS_PER_SECOND = 200;
const BURST = 20;

/** An answer that goes on after its reply: it has the connection until it is over. Then the connection is closed. */
export class Stream {
  /**
   * @param result the result in the reply
   * @param run writes to the socket until it is over. Does not reject
   */
  constructor(
    readonly result: unknown,
    readonly run: (socket: Socket) => Promise<void>,
  ) {}
}

/** Answers a request; the message of an error is told to whoever asks. */
export type Answer = (request: Request) => Promise<unknown>;

/** One connection. Its requests are answered one after the other; meanwhile nothing is read from it. */
export class Client {
  private text = '';
  private isServing = false;

  constructor(
    private readonly socket: Socket,
    private readonly throttle: Throttle,
    private readonly answer: Answer,
  ) {
    socket.setEncoding('utf8');
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('data', (part: string) => {
      this.text += part;
      void this.serve();
    });
  }

  private async serve(): Promise<void> {
    if (this.isServing) return;
    this.isServing = true;
    const { socket } = this;
    socket.pause();
    for (let end = this.text.indexOf('\n'); end >= 0 && !socket.destroyed; end = this.text.indexOf('\n')) {
      const line = this.text.slice(0, end);
      this.text = this.text.slice(end + 1);
      const turn = this.throttle.turn();
      socket.once('close', turn.giveUp);
      await turn.comes;
      socket.off('close', turn.giveUp);
      const reply = line.length > MAX_REQUEST ? refusal(tooLong) : await this.replyTo(line);
      if (!socket.write(`${textOf(reply)}\n`)) await drained(socket);
      if (reply.ok && reply.result instanceof Stream) return this.stream(reply.result);
    }
    this.isServing = false;
    if (this.text.length > MAX_REQUEST) socket.end(`${textOf(refusal(tooLong))}\n`);
    else socket.resume();
  }

  /** The connection belongs to an answer until its end. */
  private async stream({ run }: Stream): Promise<void> {
    const { socket } = this;
    socket.removeAllListeners('data');
    // What came behind the request is the answer's, too.
    if (this.text !== '') socket.unshift(this.text);
    socket.setTimeout(0);
    await run(socket);
    // A client that does not read the end does not keep its place.
    socket.setTimeout(SILENT_MS);
    socket.end();
  }

  private async replyTo(line: string): Promise<Reply> {
    try {
      return { ok: true, result: await this.answer(parseRequest(line)) };
    } catch (error) {
      return refusal(messageOf(error));
    }
  }
}

const refusal = (error: string): Reply => ({ ok: false, error });
const tooLong = `a request has at most ${MAX_REQUEST} characters`;

function textOf(reply: Reply): string {
  return JSON.stringify(reply, (_, value: unknown) => (value instanceof Stream ? value.result : value));
}

/** Resolves when the socket takes more, or is closed. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

export class ControlServer {
  private constructor(
    private readonly server: Server,
    private readonly sockets: ReadonlySet<Socket>,
    readonly path: string,
  ) {}

  /**
   * Makes the socket, accessible to its owner only, and removes the sockets of killed processes from `folders`. Rejects
   * with one line if the socket cannot be made, or if another process has it.
   */
  static async open(path: string, folders: readonly string[], answer: Answer): Promise<ControlServer> {
    for (const file of controlFiles(folders))
      if (isOurs(file) && (file.path === path || !isAlive(file.pid))) await removeUnlessAnswered(file.path);
    const sockets = new Set<Socket>();
    const throttle = new Throttle(REQUESTS_PER_SECOND, BURST);
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      new Client(socket, throttle, answer);
    });
    server.maxConnections = MAX_CLIENTS;
    await listen(server, path).catch((error: unknown) => {
      throw new Error(`control socket ${path}: ${messageOf(error)}`);
    });
    return new ControlServer(server, sockets, path);
  }

  /** Closes and removes the socket. Disconnects the clients, so that none of them can keep the process from ending. */
  async close(): Promise<void> {
    rmSync(this.path, { force: true });
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

/**
 * Listens in a folder that only this user can enter, and then moves the socket to its place: nobody else can connect before
 * its mode is set, and whoever finds it there is answered. The mask of the process would do too, but a thread cannot set it.
 */
async function listen(server: Server, path: string): Promise<void> {
  const folder = mkdtempSync(join(dirname(path), 'tspmd-'));
  const first = join(folder, 'sock');
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(first, resolve);
    });
    chmodSync(first, 0o600);
    if (await isAnswered(path)) throw new Error('another process has it');
    renameSync(first, path);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    rmSync(first, { force: true });
    rmdirSync(folder);
  }
}

/** Whether a process listens on a socket. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
  });
}

/** A process in another container can listen although its process id does not exist here. */
async function removeUnlessAnswered(path: string): Promise<void> {
  if (!(await isAnswered(path))) removeStale(path);
}
