/**
 * Runs code in the next turn of the event loop, also when that must not keep the program alive.
 *
 * Node runs an unreferenced immediate only when its wait for events is over, and without another immediate that wait
 * lasts until something happens. So a message through an unreferenced port ends the wait at once.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** Takes the messages that end a wait; made when a thread needs the first one. */
let nudges: MessagePort | null = null;

/** Ends the next wait of the event loop of this thread at once, without keeping the loop alive. */
function nudge(): void {
  if (nudges === null) {
    const { port1, port2 } = new MessageChannel();
    port2.on('message', () => {});
    port2.unref();
    port1.unref();
    nudges = port1;
  }
  nudges.postMessage(0);
}

/** Something that is to be done in the next turn of the event loop. */
export class NextTurn {
  private immediate: NodeJS.Immediate | null = null;
  private keepsAlive = true;

  /** Calls `act` in the next turn. What was to be done then before is forgotten. */
  run(act: () => void): void {
    this.cancel();
    this.immediate = setImmediate(() => {
      this.immediate = null;
      act();
    });
    if (!this.keepsAlive) this.release(this.immediate);
  }

  cancel(): void {
    if (this.immediate !== null) clearImmediate(this.immediate);
    this.immediate = null;
  }

  /** Says whether {@link run} keeps the event loop alive until then. It does at first. */
  keepAlive(on: boolean): void {
    if (on === this.keepsAlive) return;
    this.keepsAlive = on;
    if (this.immediate === null) return;
    if (on) this.immediate.ref();
    else this.release(this.immediate);
  }

  private release(immediate: NodeJS.Immediate): void {
    immediate.unref();
    nudge();
  }
}
