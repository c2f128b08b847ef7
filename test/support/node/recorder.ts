/** Writes down what each party of a scenario sees, so that two runs can be compared. */
import type { EventEmitter } from 'node:events';
import net from 'node:net';

/**
 * Events that Node's streams emit for their own needs, and those of attempts to connect, which name addresses. How often
 * there is a `drain` depends on the sizes of buffers.
 */
const INTERNAL = new Set([
  ...['newListener', 'removeListener', 'prefinish', 'readable', 'resume', 'pause', 'pipe', 'unpipe', 'drain'],
  ...['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'],
]);
const ADDRESS = /\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|::1?:\d+|\b[a-z]+\.test\b/g;

export class Recorder {
  /** Events that are not written down. */
  readonly ignored = new Set(INTERNAL);
  /** How many lines were written down. */
  lines = 0;
  private readonly parties = new Map<string, string[]>();
  private readonly closes = new WeakMap<EventEmitter, Promise<void>>();

  /** What was written down, by party. */
  get all(): Record<string, string[]> {
    const sorted = [...this.parties].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([who, lines]) => [who, [...lines]]));
  }

  note(who: string, ...what: unknown[]): void {
    const line = what.map((part) => shapeOf(part)).join(' ');
    this.lines++;
    const lines = this.parties.get(who);
    if (lines === undefined) this.parties.set(who, [line]);
    else lines.push(line);
  }

  /**
   * Writes down every event of `emitter`, by the name `who`, in the order of the calls of `emit`. Of data only the first
   * event is written, and the total of bytes at the end. An `error` is then no uncaught exception.
   */
  watch<Emitter extends EventEmitter>(who: string, emitter: Emitter): Emitter {
    const emit = emitter.emit.bind(emitter);
    let bytes = -1;
    emitter.emit = (event: string | symbol, ...args: unknown[]): boolean => {
      const name = typeof event === 'string' ? event : '';
      if (name === '' || this.ignored.has(name)) return emit(event, ...args);
      if (name === 'data') {
        if (bytes < 0) this.note(who, 'data');
        bytes = Math.max(bytes, 0) + (args[0] as { length: number }).length;
        return emit(event, ...args);
      }
      const total = (name === 'end' || name === 'close') && bytes >= 0 ? [`${bytes} bytes`] : [];
      this.note(who, name, ...total, ...args);
      return emit(event, ...args);
    };
    emitter.on('error', () => {});
    this.closes.set(emitter, new Promise((resolve) => emitter.once('close', () => resolve())));
    return emitter;
  }

  /** Resolves when all of them have closed. They must be watched. */
  async closed(...emitters: EventEmitter[]): Promise<void> {
    await Promise.all(emitters.map((emitter) => this.closes.get(emitter)));
  }

  /** Writes down certain events of an emitter, by listeners. An `error` is then no uncaught exception. */
  watchOnly<Emitter extends EventEmitter>(who: string, emitter: Emitter, events: readonly string[]): Emitter {
    for (const event of events) {
      let isFirst = true;
      emitter.on(event, (...args: unknown[]) => {
        if (this.ignored.has(event) || (event === 'data' && !isFirst)) return;
        isFirst = false;
        if (event === 'data') this.note(who, event);
        else this.note(who, event, ...args);
      });
    }
    emitter.on('error', () => {});
    this.closes.set(emitter, new Promise((resolve) => emitter.once('close', () => resolve())));
    return emitter;
  }

  /** Writes down the state of a socket. */
  state(who: string, when: string, socket: net.Socket): void {
    const { readyState, pending, connecting, destroyed, bytesRead, bytesWritten } = socket;
    const { remoteFamily, localFamily, writableLength, readableLength, readableEnded, writableFinished } = socket;
    const values = {
      ...{ readyState, pending, connecting, destroyed, bytesRead, bytesWritten, remoteFamily, localFamily },
      ...{ writableLength, readableLength, readableEnded, writableFinished, timeout: socket.timeout },
      ...{ address: Object.keys(socket.address()).join(), remotePort: typeof socket.remotePort },
      ...{ remoteAddress: typeof socket.remoteAddress, localPort: typeof socket.localPort },
    };
    this.note(who, `state ${when}:`, JSON.stringify(values));
  }
}

const isPlain = (value: object): boolean => [Object.prototype, null].includes(Object.getPrototypeOf(value) as null);

/** What of a value must be the same in both runs: no address, no port, no size of a chunk. */
function shapeOf(value: unknown): string {
  if (value instanceof Error) {
    const { code, errno, syscall, name, message } = value as NodeJS.ErrnoException;
    return `${name} ${code} ${errno} ${syscall} "${message.replace(ADDRESS, 'ADDRESS')}"`;
  }
  if (value instanceof net.Socket) return 'socket';
  if (typeof value === 'object' && value !== null && !isPlain(value)) return value.constructor.name;
  if (typeof value === 'string') return value.replace(ADDRESS, 'ADDRESS');
  if (typeof value === 'object' && value !== null) return `{${Object.keys(value).join()}}`;
  return String(value);
}
