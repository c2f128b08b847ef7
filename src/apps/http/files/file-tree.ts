/** The files below the folder of the option `root`: from the path of a request to an open file. */
import { close, constants, fstat, open, realpath, type Stats } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { contentTypeOf } from './content-types.js';

export interface OpenFile {
  readonly fd: number;
  readonly size: number;
  readonly type: string;
  /** As `Last-Modified` has it (RFC 9110, 8.8.2). */
  readonly modified: string;
}

/** What became of a request for a file: the file, the status code of an error, or the folder's path with its slash. */
export type Found = (result: OpenFile | number | string) => void;

const INDEX = 'index.html';
/** Without `O_NONBLOCK`, opening a named pipe would take a thread for ever. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const STATUS_OF: Readonly<Record<string, number>> = { EACCES: 403, EPERM: 403, EMFILE: 503, ENFILE: 503 };
/** Everything else means that there is no such file. */
const statusOf = (error: NodeJS.ErrnoException): number => STATUS_OF[error.code ?? ''] ?? 404;

/**
 * Returns the path below the root that the path of a request names, or null when it is malformed or leads elsewhere.
 * @param path begins with a slash, percent-encoded, without the query
 */
export function relativePath(path: string): string | null {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return null;
  }
  if (decoded.includes('\0')) return null;
  return decoded.split('/').includes('..') ? null : decoded;
}

export class FileTree {
  /** @param root real path of the folder */
  constructor(private readonly root: string) {}

  /** Opens the file that the path of a request names. The receiver of the file closes it. */
  find(path: string, found: Found): void {
    const relative = relativePath(path);
    if (relative === null) {
      found(400);
      return;
    }
    this.openBelow(join(this.root, relative), relative.endsWith('/'), path, found);
  }

  private openBelow(name: string, isFolder: boolean, path: string, found: Found): void {
    // The native one is one call; the other one asks for each folder of the path.
    realpath.native(isFolder ? join(name, INDEX) : name, (error, real) => {
      if (error !== null) {
        found(statusOf(error));
        // A symbolic link may lead out of the root, a path of the request may not.
      } else if (real !== this.root && !real.startsWith(this.root === sep ? sep : this.root + sep)) {
        found(404);
      } else {
        openReal(real, path, found);
      }
    });
  }
}

function openReal(real: string, path: string, found: Found): void {
  open(real, FLAGS, (error, fd) => {
    if (error !== null) {
      found(statusOf(error));
      return;
    }
    fstat(fd, (failed, stats) => {
      if (failed === null && stats.isFile()) {
        found(openFile(fd, real, stats));
        return;
      }
      close(fd, () => {
        if (failed !== null) found(500);
        else found(stats.isDirectory() && !path.endsWith('/') ? `${path}/` : 404);
      });
    });
  });
}

function openFile(fd: number, real: string, stats: Stats): OpenFile {
  return { fd, size: stats.size, type: contentTypeOf(extname(real)), modified: stats.mtime.toUTCString() };
}
