/**
 * Bytes to the control socket: up to four clients whose requests come in pieces, end in the middle, and are not read.
 * Each whole line gets one reply, in order, and the others are still answered. All commands of the table are asked for.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { isDeepStrictEqual } from 'node:util';
import { COMMAND_NAMES, readArgs } from '../../../observe/control/commands.js';
import { MAX_REQUEST, parseRequest, type Reply, RequestError } from '../../../observe/control/requests.js';
import { Client } from '../../../observe/control/server.js';
import { Throttle } from '../../../observe/control/throttle.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_STEPS = 40;
const CLIENTS = 4;
/** The longest piece that a client sends at once, in bytes. */
const MAX_PIECE = 8192;
/** The longest error. */
const MAX_ERROR = 400;
/** What the stream of a client may hold that does not read, beside one answer. */
const HIGH_WATER = 16_384;
/** An answer that is longer than a stream takes at once. */
const LONG = 'x'.repeat(2 * HIGH_WATER);
/** More turns of the event loop than any case needs. */
const MAX_TURNS = 400;

const COMMANDS = [...COMMAND_NAMES, 'nonsense', '', '__proto__', 'constructor', 'x'.repeat(100)];
/** Names of arguments, also of commands that take none, and values, also wrong ones. */
const NAMES = [
  ...['limit', 'sort', 'port', 'ports', 'direction', 'filter', 'snaplen', 'count', 'duration', 'drops', 'core'],
  ...['__proto__', 'command', 'toString', ''],
];
const VALUES = [
  ...['0', '1', '50', '1000', '1001', '-1', '1.5', '1e400', '1e308', 'null', 'true', '[]', '{}', '""', '"bytes"'],
  ...['"rtt"', '"state"', '"in"', '"out"', '"tcp and port 80"', '"not (arp or host 10.0.0.1)"', '"net 10.0.0.0/8"'],
  ...[
    '"vlan 7 and udp"',
    '"ether host 52:54:00:00:00:01"',
    '"((((("',
    '"port 99999"',
    '["a"]',
    '[[[[]]]]',
    '"\\ud800"',
  ],
];
const PIECES = [
  '\n',
  '\n\n\n',
  '{',
  '"',
  '\r\n',
  '\0',
  'null\n',
  '[]\n',
  '"info"\n',
  '{"command":7}\n',
  '\u00fc\u20ac\u{1f600}',
];

/** A socket whose other end the target has. */
class Wire extends Duplex {
  /** What the server has written and the client has read. */
  written = '';
  isRead = true;
  private stuck: (() => void) | null = null;

  constructor() {
    super({ allowHalfOpen: false, highWaterMark: HIGH_WATER, decodeStrings: false });
  }

  setTimeout(): this {
    return this;
  }

  override _read(): void {}

  override _write(text: string | Uint8Array, _: BufferEncoding, done: () => void): void {
    this.written += text.toString();
    if (this.isRead) done();
    else this.stuck = done;
  }

  read_(isRead: boolean): void {
    this.isRead = isRead;
    const { stuck } = this;
    if (!isRead || stuck === null) return;
    this.stuck = null;
    stuck();
  }
}

/** A client, and what must come back to it. */
class Peer {
  readonly wire = new Wire();
  /** The lines that were sent and are whole. */
  readonly lines: string[] = [];
  /** Whether the client has ended. */
  isOver = false;
  /** Replies that were checked, and their characters. */
  replies = 0;
  private looked = 0;
  private rest = '';
  private readonly decoder = new StringDecoder('utf8');
  private readonly client: Client;

  constructor(throttle: Throttle, answer: (request: { command: string }) => Promise<unknown>) {
    this.client = new Client(this.wire as unknown as Socket, throttle, answer);
  }

  send(bytes: Uint8Array): void {
    if (this.isOver || this.wire.writableEnded || this.wire.destroyed || bytes.length === 0) return;
    this.wire.push(bytes);
    const [rest, ...lines] = `${this.rest}${this.decoder.write(bytes)}`.split('\n').reverse();
    this.lines.push(...lines.reverse());
    this.rest = rest!;
  }

  end(): void {
    if (!this.isOver) this.wire.push(null);
    this.isOver = true;
  }

  /** Checks what has come back, and what is held for the client. */
  check(isAll: boolean): void {
    const { length } = (this.client as unknown as { text: string }).text;
    check(length <= MAX_REQUEST + MAX_PIECE, `${length} characters of requests are kept`);
    check(
      this.wire.writableLength <= HIGH_WATER + LONG.length + 2 * MAX_PIECE,
      'answers pile up for a client that does not read',
    );
    const replies = this.wire.written.slice(this.looked).split('\n');
    check(replies.pop() === '', 'a reply without an end');
    this.looked = this.wire.written.length;
    for (const text of replies) this.checkReply(JSON.parse(text) as Reply, this.lines[this.replies++]);
    // A client that ends may not get the rest; one that sends a line without end is told so, and gets no more.
    if (isAll && !this.isOver && !this.wire.writableEnded && !this.wire.destroyed) {
      check(this.replies === this.lines.length, `${this.replies} replies to ${this.lines.length} requests`);
    }
  }

  private checkReply(reply: Reply, line: string | undefined): void {
    if (!reply.ok) {
      const { error } = reply;
      check(typeof error === 'string' && error.length <= MAX_ERROR && !error.includes('\n'), `error ${error}`);
      check(
        expectedOf(line ?? 'x'.repeat(MAX_REQUEST + 1)) === null || error === 'it hangs',
        `refused: ${line?.slice(0, 200)}`,
      );
      return;
    }
    check(line !== undefined, 'a reply without a request');
    const { args, command } = reply.result as { args: unknown; command: unknown };
    check(
      isDeepStrictEqual({ args, command }, expectedOf(line)),
      `a reply to something else than ${line.slice(0, 200)}`,
    );
  }
}

/** Returns what the answer must name, or null when the line must be refused. */
function expectedOf(line: string): object | null {
  if (line.length > MAX_REQUEST) return null;
  try {
    const request = parseRequest(line);
    // As JSON has it, in which the reply comes.
    return JSON.parse(JSON.stringify({ args: readArgs(request), command: request.command })) as object;
  } catch (error) {
    check(error instanceof RequestError, `the request is refused by ${String(error)}`);
    return null;
  }
}

function requestOf(input: Input): string {
  const parts = [`"command":${JSON.stringify(input.pick(COMMANDS))}`];
  for (let n = input.below(4); n > 0; n--) parts.push(`${JSON.stringify(input.pick(NAMES))}:${input.pick(VALUES)}`);
  return `{${parts.join(',')}}${input.below(8) === 7 ? '' : '\n'}`;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes requests, and answers at once or when it is told to, as `behaviour` has it, bit by bit. */
class Answerer {
  private count = 0;
  private readonly waiting: ((isGood: boolean) => void)[] = [];

  constructor(private readonly behaviour: number) {}

  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }

  readonly answer = async (request: { command: string }): Promise<unknown> => {
    const result = { args: readArgs(request), command: request.command };
    const bit = (this.behaviour >>> (this.count++ & 7)) & 1;
    if (bit === 0) return (this.count & 3) === 3 ? { ...result, more: LONG } : result;
    return new Promise((resolve, reject) => {
      this.waiting.push((isGood) => (isGood ? resolve(result) : reject(new Error('it hangs'))));
    });
  };

  settle(isGood: boolean): void {
    this.waiting.shift()?.(isGood);
  }
}

async function play(input: Input): Promise<number> {
  const throttle = new Throttle(1e9, 1e9);
  const answerer = new Answerer(input.u8());
  const peers = Array.from({ length: CLIENTS }, () => new Peer(throttle, answerer.answer));
  for (let step = 0; step < MAX_STEPS && input.left > 0; step++) {
    const choice = input.u8();
    const peer = peers[choice & 3]!;
    const send = (text: string): void => peer.send(Buffer.from(text));
    const kind = choice >>> 2;
    if (kind < 20) send(requestOf(input));
    // Long, but sound; and many of one kind.
    else if (kind < 22) send(requestOf(input).replace('{', `{${' '.repeat(input.u16() % (MAX_PIECE / 2 + 1000))}`));
    else if (kind < 24)
      send(
        requestOf(input)
          .repeat(1 + (input.u8() & 31))
          .slice(0, MAX_PIECE),
      );
    else if (kind < 32) send(input.pick(PIECES));
    else if (kind < 40) peer.send(input.take(1 + input.below(64)));
    else if (kind < 46) send('x'.repeat(input.u16() % MAX_PIECE));
    else if (kind < 50) peer.wire.read_(kind === 46);
    else if (kind < 58) answerer.settle(kind !== 50);
    else if (kind < 60) peer.end();
    else if (kind < 61) peer.wire.destroy();
    if ((kind & 1) === 0) await turn();
    for (const each of peers) each.check(false);
  }
  for (const { wire } of peers) wire.read_(true);
  // Whoever asks now is answered, whatever the others have done.
  const last = new Peer(throttle, async (request) => ({ args: readArgs(request), command: request.command }));
  last.send(Buffer.from('{"command":"info"}\n'));
  for (let turns = 0; turns < MAX_TURNS && !isQuiet([...peers, last], answerer); turns++) {
    answerer.settle(true);
    await turn();
  }
  for (const peer of [...peers, last]) peer.check(true);
  check(last.wire.written === '{"ok":true,"result":{"args":{},"command":"info"}}\n', 'the server does not answer');
  const replies = peers.reduce((sum, peer) => sum + peer.replies, 0);
  for (const { wire } of [...peers, last]) wire.destroy();
  return replies;
}

/** Whether nothing more will come. */
function isQuiet(peers: readonly Peer[], answerer: Answerer): boolean {
  const isAnswered = (peer: Peer): boolean => {
    peer.check(false);
    return peer.isOver || peer.wire.writableEnded || peer.wire.destroyed || peer.replies === peer.lines.length;
  };
  return !answerer.hasWaiting && peers.every(isAnswered);
}

export const control: FuzzTarget = {
  name: 'control',
  summary: 'bytes to the control socket: one reply per line, in order; bounded memory; others are still answered',
  maxBytes: 400,
  dictionary: ['{"command":"info"}\n', '{"command":"stats"}\n', '"limit":1', '\n'],
  prepare: (feedback) => {
    let thrown: unknown = null;
    const onThrown = (error: unknown): void => {
      thrown = error;
    };
    process.on('unhandledRejection', onThrown);
    return {
      async run(input: Input): Promise<void> {
        feedback.mark(Math.min(await play(input), 60));
        if (thrown !== null) throw new Error(`a promise was rejected, and nobody cared: ${String(thrown)}`);
      },
      close: () => void process.off('unhandledRejection', onThrown),
    };
  },
};
