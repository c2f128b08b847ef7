/** The socket of a backend or frontend on which the other one connects: made for its owner only, removed with it. */
import { lstatSync, unlinkSync } from 'node:fs';
import { acceptUnix, closeFile, listenUnix, SystemError } from '../../libc/index.js';

export class ListeningSocket {
  readonly fd: number;
  private readonly inode: number;

  /**
   * Creates the socket (mode 0600); throws when it cannot be created.
   * @param name begins errors
   */
  constructor(
    private readonly path: string,
    name: string,
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
      this.inode = lstatSync(path).ino;
    } catch (error) {
      closeFile(this.fd);
      throw error;
    }
  }

  /** The next connection, which the caller owns; `null` when none waits. */
  accept(): number | null {
    return acceptUnix(this.fd, this.path);
  }

  /** Nobody may be watching it any more. */
  close(): void {
    closeFile(this.fd);
    try {
      // Not a file that somebody has put in its place since.
      if (lstatSync(this.path).ino === this.inode) unlinkSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
