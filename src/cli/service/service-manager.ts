/**
 * Tells the service manager (systemd) how the command is: when it is ready, what happens to it, and that it stops. The
 * signs of life for the watchdog come from the thread that watches for hangs (`hang/hang-worker.ts`).
 */
import { sendDatagram } from '../../../drivers/libc/index.js';
import { watchEvents } from '../../../drivers/log/event-log.js';
import type { EventName, EventSink } from '../../../drivers/log/events.js';
import { messageOf } from '../../../drivers/log/message-of.js';
import { oneLine } from '../../../drivers/log/safe-text.js';
import { warn } from '../output/lines.js';

/** Events whose lines say how the command is. `systemctl status` shows the last one. */
const SHOWN: ReadonlySet<EventName> = new Set<EventName>([
  ...(['ready', 'link', 'lease', 'core-failure', 'hang-over', 'port', 'port-problem', 'stopped', 'error'] as const),
]);
/** The manager has not read what was sent before: time until the next attempt, in ms. */
const RETRY_MS = 100;

/** The socket of a service manager. What it does not take at once is sent later, in order. */
class ServiceManager {
  /** What is still to be sent; a state that is outdated is left out. */
  private readonly waiting = new Map<'READY' | 'STOPPING' | 'STATUS', string>();
  private timer: NodeJS.Timeout | null = null;
  private isBroken = false;

  constructor(private readonly socket: string) {}

  readonly event: EventSink = (line, { event }) => {
    if (event === 'ready') this.tell('READY', '1');
    if (SHOWN.has(event)) this.tell('STATUS', oneLine(line.split('\n', 1)[0] as string));
  };

  tell(name: 'READY' | 'STOPPING' | 'STATUS', value: string): void {
    if (this.isBroken) return;
    this.waiting.set(name, value);
    if (this.timer === null) this.send();
  }

  private send(): void {
    this.timer = null;
    try {
      for (const [name, value] of this.waiting) {
        if (!sendDatagram(this.socket, `${name}=${value}\n`)) {
          this.timer = setTimeout(() => this.send(), RETRY_MS).unref();
          return;
        }
        this.waiting.delete(name);
      }
    } catch (error) {
      // The command works without.
      this.isBroken = true;
      warn(`the service manager is not told how this process is: NOTIFY_SOCKET: ${messageOf(error)}`);
    }
  }
}

/** Begins to tell the manager at this socket. @returns what tells it that the command stops */
export function beginTelling(socket: string): () => void {
  const manager = new ServiceManager(socket);
  watchEvents(manager.event);
  return () => manager.tell('STOPPING', '1');
}
