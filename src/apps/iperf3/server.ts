/** The server of iperf3 on one core: one test at a time, as iperf3 itself has it. */
import type { Connection, TcpHandlers } from '../../tcpip/index.js';
import { ACCESS_DENIED, COOKIE_BYTES, sendState } from './protocol.js';
import { Session } from './session.js';
import type { Stream } from './stream.js';

/** What a connection is, as soon as its cookie has come. */
class Peer {
  readonly cookie = new Uint8Array(COOKIE_BYTES);
  cookieBytes = 0;
  session: Session | null = null;
  stream: Stream | null = null;
  /** Seconds since it was opened. */
  age = 0;

  constructor(readonly order: number) {}
}

/** Seconds until the cookie must have come. */
const COOKIE_SECONDS = 10;

export class Iperf3Server implements TcpHandlers {
  private session: Session | null = null;
  /** Connections whose cookie has not come yet. */
  private readonly unknown = new Map<Peer, Connection>();
  private opened = 0;
  private tests = 0;
  private refused = 0;
  private receivedBytes = 0;
  private sentBytes = 0;

  open(c: Connection): void {
    const peer = new Peer(this.opened++);
    c.context = peer;
    this.unknown.set(peer, c);
  }

  data(c: Connection, bytes: Uint8Array, offset: number, length: number): void {
    const peer = c.context as Peer;
    let at = offset;
    let left = length;
    if (peer.cookieBytes < COOKIE_BYTES) {
      while (left > 0 && peer.cookieBytes < COOKIE_BYTES) {
        peer.cookie[peer.cookieBytes++] = bytes[at++];
        left--;
      }
      if (peer.cookieBytes < COOKIE_BYTES) return;
      this.admit(c, peer);
      if (left === 0) return;
    }
    if (peer.stream !== null) peer.stream.received(left);
    else peer.session?.control(bytes, at, left);
  }

  drain(c: Connection): void {
    (c.context as Peer).stream?.pump();
  }

  end(c: Connection): void {
    c.end();
  }

  close(c: Connection): void {
    const peer = c.context;
    if (!(peer instanceof Peer)) return;
    c.context = null;
    this.unknown.delete(peer);
    const { stream, session } = peer;
    if (stream !== null) {
      stream.isClosed = true;
      if (stream.isSender) this.sentBytes += stream.bytes;
      else this.receivedBytes += stream.bytes;
    }
    if (session === null) return;
    session.closed();
    if (this.session === session) this.session = null;
  }

  /** Called every second. */
  tick(): void {
    this.session?.tick();
    for (const [peer, c] of this.unknown) {
      if (++peer.age > COOKIE_SECONDS) c.abort();
    }
  }

  /** Ends the test that is running. */
  stop(): void {
    this.session?.closed();
  }

  report(): Record<string, number> {
    return {
      iperf3_tests: this.tests,
      iperf3_refused: this.refused,
      iperf3_received_bytes: this.receivedBytes,
      iperf3_sent_bytes: this.sentBytes,
    };
  }

  /** The cookie has come: it tells whether this is a new test, or a stream of the running one. */
  private admit(c: Connection, peer: Peer): void {
    this.unknown.delete(peer);
    if (this.session === null) {
      this.tests++;
      this.session = peer.session = new Session(c, peer.cookie);
      return;
    }
    if (Buffer.compare(this.session.cookie, peer.cookie) === 0) peer.stream = this.session.add(c, peer.order);
    if (peer.stream !== null) return;
    this.refused++;
    sendState(c, ACCESS_DENIED);
    c.end();
  }
}
