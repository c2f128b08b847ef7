/**
 * A frontend whose messages are all refused. Each refusal is a line in the switch's log that quotes the name of a
 * memfd: this name has everything that could forge a line or control a terminal.
 */
import { closeFile, connectUnix, emptyMemfd, MessageSocket } from '../../../drivers/libc/index.js';
import * as p from '../../../drivers/transports/vhost-user/protocol.js';

const R = p.VhostUserRequest;
const REPLY_BYTES = p.HEADER_BYTES + 8;
/** Messages without an answer yet: fewer than the socket takes. */
const MAX_IN_FLIGHT = 64;

/** Of 249 bytes, the most that memfd_create takes. */
export const HOSTILE_NAME = '\nport vm2: forged\u001b[2J\u009b31m\r\u202e\u2028'.padEnd(236, 'x');

/** A whole message, in memory that V8 does not move. */
export function vhostUserMessage(request: number, flags: number, payload: Buffer): Buffer {
  // Not from Buffer's pool: the kernel gets its address.
  const bytes = Buffer.from(new ArrayBuffer(p.HEADER_BYTES + payload.length));
  p.encodeHeader(bytes, { request, flags: flags | p.PROTOCOL_VERSION, size: payload.length });
  payload.copy(bytes, p.HEADER_BYTES);
  return bytes;
}

export class RefusedMessages {
  /** Messages that were refused so far. */
  refused = 0;
  private sent = 0;
  private bytes = 0;
  private readonly socket: MessageSocket;
  private readonly file = emptyMemfd(HOSTILE_NAME);
  private readonly replies = Buffer.from(new ArrayBuffer(MAX_IN_FLIGHT * REPLY_BYTES));
  private readonly refusedOne = vhostUserMessage(R.SET_VRING_KICK, p.FLAG_NEED_REPLY, p.encodeVringFd(0, true));

  /** Connects to the socket of a port. */
  constructor(path: string) {
    this.socket = new MessageSocket(connectUnix(path), path);
    this.socket.send(vhostUserMessage(R.SET_PROTOCOL_FEATURES, 0, p.encodeU64(p.PROTOCOL_F_REPLY_ACK)));
  }

  /** Sends what may be under way, and reads the answers that are there. Throws if the switch has hung up. */
  poll(): void {
    while (this.sent - this.refused < MAX_IN_FLIGHT && this.socket.send(this.refusedOne, [this.file])) this.sent++;
    const received = this.socket.receive(this.replies);
    if (received === null) return;
    if (received.bytes === 0) throw new Error('the switch has hung up');
    this.bytes += received.bytes;
    this.refused = Math.floor(this.bytes / REPLY_BYTES);
  }

  close(): void {
    this.socket.close();
    closeFile(this.file);
  }
}
