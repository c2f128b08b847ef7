/** Sends back what comes (RFC 862). A peer that does not read is paused, and holds one piece of what it sent. */

import type { Connection, TcpHandlers } from '../../tcpip/index.js';
import { HeldBytes } from './held-bytes.js';

/** The part of a piece that had no room, and whether the peer has ended. */
class Echoed {
  readonly rest = new HeldBytes();
  hasPeerEnded = false;
}

/** Objects of closed connections that are kept for new ones. */
const MAX_SPARE = 1024;

export class EchoHandlers implements TcpHandlers {
  private readonly spare: Echoed[] = [];
  private connections = 0;
  private bytes = 0;
  private pauses = 0;

  open(c: Connection): void {
    this.connections++;
    c.context = this.spare.pop() ?? new Echoed();
  }

  data(c: Connection, bytes: Uint8Array, offset: number, length: number): void {
    const { rest } = echoedOf(c);
    this.bytes += length;
    const taken = rest.length > 0 ? 0 : c.write(bytes, offset, length);
    if (taken === length) return;
    if (rest.length === 0) {
      this.pauses++;
      c.pause();
    }
    rest.append(bytes, offset + taken, length - taken);
  }

  drain(c: Connection): void {
    const { rest, hasPeerEnded } = echoedOf(c);
    if (rest.length === 0) return;
    rest.skipTo(rest.start + c.write(rest.bytes, rest.start, rest.length));
    if (rest.length > 0) return;
    c.resume();
    if (hasPeerEnded) c.end();
  }

  end(c: Connection): void {
    const echoed = echoedOf(c);
    echoed.hasPeerEnded = true;
    if (echoed.rest.length === 0) c.end();
  }

  close(c: Connection): void {
    const echoed = c.context;
    if (!(echoed instanceof Echoed)) return;
    c.context = null;
    echoed.rest.clear();
    echoed.hasPeerEnded = false;
    if (this.spare.length < MAX_SPARE) this.spare.push(echoed);
  }

  report(): Record<string, number> {
    return { echo_connections: this.connections, echo_bytes: this.bytes, echo_pauses: this.pauses };
  }
}

function echoedOf(c: Connection): Echoed {
  return c.context as Echoed;
}
