/**
 * The control socket of a switch, on which other processes ask for its counters: whoever connects gets one snapshot as JSON
 * and the end of the stream; nothing is read from the connection.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { controlFiles, controlFolders, controlPath, isAlive, isOurs, removeStale } from './control-files.js';
import type { SwitchStats } from './stats.js';

/** The control sockets that this process has open: one for each folder, as they are named after the process. */
const open = new Set<string>();

/** Answers on this process's control socket until closed. */
export class ControlSocket {
  private constructor(
    private readonly server: Server,
    private readonly clients: ReadonlySet<Socket>,
    readonly path: string,
  ) {}

  /**
   * Makes the socket, in the first of the folders; a process has one at a time. Removes the sockets of switches that were killed.
   * @param stats takes the snapshot for each who asks
   */
  static async open(stats: () => SwitchStats, folders: readonly string[] = controlFolders()): Promise<ControlSocket> {
    const path = controlPath(folders[0], process.pid);
    if (open.has(path)) throw new Error(`control socket ${path}: another switch of this process answers there`);
    // The socket of an earlier process that had this number.
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
      // The socket is made within the call, for its owner only.
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

  /** Closes and removes the socket. A client that has not hung up by then is cut off: it must not keep the switch from ending. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const client of this.clients) client.destroy();
    await closed;
    open.delete(this.path);
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
