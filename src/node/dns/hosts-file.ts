/** /etc/hosts (hosts(5)): addresses of names that this machine knows by itself. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { isIP } from 'node:net';
import { canonicalName } from './names.js';
import { systemTimers, type Timers } from './time.js';

export interface HostsFileOptions {
  /** Default `/etc/hosts`. */
  readonly path?: string;
  readonly timers?: Pick<Timers, 'now'>;
}

/** How long the file is not looked at again. */
const RECHECK_MS = 5000;
/** What lies behind is ignored. */
const MAX_BYTES = 4 * 2 ** 20;
const MAX_NAMES = 100_000;
const MAX_ADDRESSES = 64;
const NOTHING: readonly string[] = [];

export class HostsFile {
  /** Canonical name -> its addresses, in the order of the file. */
  private names = new Map<string, string[]>();
  private version = '';
  private lookedAt = Number.NEGATIVE_INFINITY;
  private readonly path: string;
  private readonly timers: Pick<Timers, 'now'>;

  constructor(options: HostsFileOptions = {}) {
    this.path = options.path ?? '/etc/hosts';
    this.timers = options.timers ?? systemTimers;
  }

  /**
   * Finds the addresses of a name, IPv4 and IPv6. At most every 5 s, it reads a file that has changed.
   * @param name canonical
   * @returns none when the file does not have the name, or cannot be read
   */
  lookup(name: string): readonly string[] {
    const now = this.timers.now();
    if (now - this.lookedAt >= RECHECK_MS) {
      this.lookedAt = now;
      this.refresh();
    }
    return this.names.get(name) ?? NOTHING;
  }

  private refresh(): void {
    let fd: number;
    try {
      // Opening a pipe would wait for a writer.
      fd = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch {
      this.forget();
      return;
    }
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) {
        this.forget();
        return;
      }
      const version = versionOf(stats);
      if (version === this.version) return;
      this.names = parseHosts(readText(fd, Math.min(stats.size, MAX_BYTES)));
      this.version = version;
    } catch {
      this.forget();
    } finally {
      closeSync(fd);
    }
  }

  private forget(): void {
    this.names = new Map();
    this.version = '';
  }
}

const versionOf = ({ ino, size, mtimeMs }: Stats): string => `${ino} ${size} ${mtimeMs}`;

function readText(fd: number, size: number): string {
  const bytes = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const count = readSync(fd, bytes, length, size - length, length);
    if (count === 0) break;
    length += count;
  }
  return bytes.toString('utf8', 0, length);
}

/** Reads the text of a file. Lines that are wrong are ignored, as getaddrinfo(3) does. */
function parseHosts(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...words] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const word of words) {
      const name = canonicalName(word);
      if (name === null) continue;
      let addresses = names.get(name);
      if (addresses === undefined) {
        if (names.size === MAX_NAMES) continue;
        addresses = [];
        names.set(name, addresses);
      }
      if (addresses.length < MAX_ADDRESSES && !addresses.includes(address)) addresses.push(address);
    }
  }
  return names;
}
