/**
 * The control socket of a switch. A process that connects gets one snapshot of the counters as JSON and the end of the
 * stream. Nothing is read from the connection.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { SwitchStats } from '../stats.js';
import { controlFiles, controlFolders, controlPath, isAlive, isOurs, removeStale } from './files.js';

/** Paths of the control sockets that this process has open: at most one per folder, because of their names. */
const open = new Set<string>();

/** An open control socket of this process. */
export class ControlSocket {
  private constructor(
    private readonly server: Server,
    private readonly clients: ReadonlySet<Socket>,
    readonly path: string,
  ) {}

  /**
   * Makes the socket in the first of the folders, and removes the sockets of switches that were killed. Rejects if
   * another switch of this process has the socket, or if the socket cannot be made.
   * @param stats takes a snapshot, once per connection
   */
  static async open(stats: () => SwitchStats, folders: readonly string[] = controlFolders()): Promise<ControlSocket> {
    const path = controlPath(folders[0], process.pid);
    if (open.has(path)) throw new Error(`control socket ${path}: another switch of this process uses it`);
    // An earlier process with the same process id may have left a socket.
    removeStale(path);
    for (const file of controlFiles(folders))
      if (isOurs(file) && !isAlive(file.pid)) await removeUnlessAnswered(file.path);
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
      // listen() makes the socket during the call; the mask makes it accessible to its owner only.
      const mask = process.umask(0o177);
      try {
        server.listen(path, resolve);
      } finally {
        process.umask(mask);
      }
    });
    open.add(path);
    return new ControlSocket(server, clients, path);
  }

  /** Closes and removes the socket. Disconnects the clients, so that none of them can keep the switch from ending. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const client of this.clients) client.destroy();
    await closed;
    open.delete(this.path);
  }
}

/**
 * Removes a socket unless a process listens on it. A process in another container can listen although its process id
 * does not exist here.
 */
function removeUnlessAnswered(path: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.destroy());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeStale(path);
    });
    socket.on('close', () => resolve());
  });
}
