/**
 * How another process asks a running switch for its counters: a unix socket named after the switch's process. Whoever
 * connects gets one snapshot as JSON and the end of the stream; nothing is read from him.
 */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { SwitchStats } from './stats.js';

const NAME = /^tspmd-switch-(\d+)\.sock$/;
/** A switch answers between two slices of its worker; one that does not in this time, in ms, is stuck. */
const ANSWER_MS = 5000;

/** Not os.tmpdir(), which follows TMPDIR: the switch and whoever asks must look in one place. */
function controlDirectory(): string {
  return process.env.XDG_RUNTIME_DIR || '/tmp';
}

function controlPath(pid: number): string {
  return join(controlDirectory(), `tspmd-switch-${pid}.sock`);
}

/** Answers on this process's control socket until closed. */
export class ControlSocket {
  private constructor(
    private readonly server: Server,
    private readonly clients: ReadonlySet<Socket>,
    readonly path: string,
  ) {}

  /** @param stats takes the snapshot for each who asks */
  static async open(stats: () => SwitchStats): Promise<ControlSocket> {
    const path = controlPath(process.pid);
    // One of an earlier process that had this number; and those of switches that were killed, which stay for ever else.
    removeStale(path);
    for (const pid of candidates()) if (!isAlive(pid)) await removeUnlessAnswered(controlPath(pid));
    const clients = new Set<Socket>();
    const server = createServer((socket) => {
      clients.add(socket);
      socket.on('close', () => clients.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.end(JSON.stringify(stats()));
      socket.resume();
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Error(`control socket ${path}: ${error.message}`)));
      // The socket is made within the call, for its owner only.
      const mask = process.umask(0o177);
      try {
        server.listen(path, resolve);
      } finally {
        process.umask(mask);
      }
    });
    return new ControlSocket(server, clients, path);
  }

  /** Closes and removes the socket. Whoever has not hung up by then is cut off: he must not keep the switch from ending. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const client of this.clients) client.destroy();
    await closed;
  }
}

/** The processes of this user that have a control socket, dead ones too. */
function candidates(): number[] {
  let names: string[];
  try {
    names = readdirSync(controlDirectory());
  } catch {
    return [];
  }
  return names
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .filter((pid) => isOurs(controlPath(pid)));
}

/** Anyone may put a socket into /tmp: only those of this user count (and any for root's own). */
function isOurs(path: string): boolean {
  try {
    const status = lstatSync(path);
    return status.isSocket() && status.uid === process.getuid?.();
  } catch {
    return false;
  }
}

function removeStale(path: string): void {
  if (isOurs(path)) unlinkSync(path);
}

/** Whether there is such a process: one that has just made its socket may not listen on it yet. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Somebody may listen all the same: a process of another container has another number here. */
function removeUnlessAnswered(path: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.destroy());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeStale(path);
    });
    socket.on('close', () => resolve());
  });
}

/** The snapshot of one switch; null where no process listens any more (its socket is removed then). */
async function ask(pid: number): Promise<SwitchStats | null> {
  const path = controlPath(pid);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`no answer in ${ANSWER_MS / 1000} s`)));
    socket.on('data', (part) => {
      text += part;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') {
        removeStale(path);
        resolve(null);
      } else if (error.code === 'ENOENT') {
        resolve(null);
      } else {
        reject(new Error(`switch ${pid}: ${error.message}`));
      }
    });
    socket.on('end', () => {
      socket.destroy();
      try {
        resolve(JSON.parse(text) as SwitchStats);
      } catch {
        reject(new Error(`switch ${pid}: ended while it answered`));
      }
    });
  });
}

/**
 * The snapshot of a running switch of this user.
 * @param pid which one; not needed where only one runs
 */
export async function fetchStats(pid?: number): Promise<SwitchStats> {
  const asked = pid === undefined ? candidates() : [pid];
  const found: [number, SwitchStats][] = [];
  for (const one of asked) {
    const stats = await ask(one);
    if (stats) found.push([one, stats]);
  }
  if (found.length === 1) return found[0][1];
  if (pid !== undefined) throw new Error(`no switch runs as process ${pid} (no socket ${controlPath(pid)})`);
  if (found.length === 0) {
    throw new Error(`no switch is running (no socket in ${controlDirectory()}); start one: tspmd switch FILE.bess`);
  }
  const pids = found.map(([one]) => one).join(', ');
  throw new Error(`${found.length} switches are running; say which: tspmd switch --stats PID (${pids})`);
}
