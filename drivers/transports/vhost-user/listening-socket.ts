/** The socket of a backend or frontend to which the other side connects: for its owner only, and removed on close. */
import { lstatSync, unlinkSync } from 'node:fs';
import { acceptUnix, type Closer, closeFile, listenUnix, SystemError } from '../../libc/index.js';

/** What is at the path of a listening socket: the socket, nothing, or another file. */
export type SocketPlace = 'here' | 'gone' | 'replaced';

export class ListeningSocket {
  readonly fd: number;
  private readonly device: number;
  private readonly inode: number;

  /**
   * Creates the socket (mode 0600); throws when it cannot be created.
   * @param name begins errors
   * @param closer closes the socket: messages on connections that were never accepted may carry file descriptors
   */
  constructor(
    private readonly path: string,
    name: string,
    private readonly closer: Closer,
  ) {
    try {
      this.fd = listenUnix(path);
    } catch (error) {
      const isThere = error instanceof SystemError && error.code === 'EADDRINUSE';
      const reason = isThere
        ? 'the file is already there (EADDRINUSE): stop the process that listens on it, or remove it if one left it behind'
        : (error as Error).message;
      throw new Error(`${name}: ${reason}`);
    }
    try {
      const status = lstatSync(path);
      this.device = status.dev;
      this.inode = status.ino;
    } catch (error) {
      closeFile(this.fd);
      throw error;
    }
  }

  /** Accepts the next connection, which the caller then owns. `null` when none is waiting. */
  accept(): number | null {
    return acceptUnix(this.fd, this.path);
  }

  /**
   * Whether the file at the path is still this socket: `gone` when it was removed, `replaced` when another file is in
   * its place. In both cases a peer that connects to the path does not reach this socket.
   */
  place(): SocketPlace {
    try {
      const status = lstatSync(this.path);
      return status.dev === this.device && status.ino === this.inode ? 'here' : 'replaced';
    } catch {
      return 'gone';
    }
  }

  /** The socket must not be watched any more. Removes the file, unless another file is in its place. */
  close(): void {
    // Checked before the socket is closed, because afterwards another file may get its inode.
    const isHere = this.place() === 'here';
    this.closer.close(this.fd);
    try {
      if (isHere) unlinkSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
