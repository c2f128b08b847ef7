/** A control socket that serves captures of rings that a test fills, and those who ask for them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Captures } from '../../../observe/capture/captures.js';
import { type CaptureRequest, readCapture } from '../../../observe/capture/request.js';
import type { CaptureSummary, OpenedCapture } from '../../../observe/capture/session.js';
import { type CaptureWish, DIRECTION_IN, DIRECTION_OUT, NO_REASON, whereOf } from '../../../observe/capture/sink.js';
import { CaptureStream } from '../../../observe/control/capture-stream.js';
import { type ControlFile, controlPath } from '../../../observe/control/files.js';
import { ControlServer, Stream } from '../../../observe/control/server.js';
import { makeRecordRing, RecordReader, RecordWriter } from '../../../rings/record-ring.js';
import { SMALL_RING } from './records.js';

export class CaptureLab {
  readonly captures: Captures;
  /** What the main thread was asked for, in order. */
  readonly opened: CaptureWish[] = [];
  readonly closed: number[] = [];
  /** The writers of each capture, by its number. */
  readonly writers = new Map<number, RecordWriter[]>();
  /** The main thread answers when this resolves, or fails as it does. */
  answers: Promise<unknown> = Promise.resolve();
  closes: Promise<unknown> = Promise.resolve();
  interfaces = [{ name: 'port0', description: 'the only one' }];
  rings = 1;
  private readonly folder = mkdtempSync(join(tmpdir(), 'capture-'));
  private server: ControlServer | null = null;
  private readonly sockets: Socket[] = [];

  constructor() {
    this.captures = new Captures(
      {
        open: async (wish) => {
          this.opened.push(wish);
          await this.answers;
          return this.begin(wish);
        },
        close: (id) => {
          this.closed.push(id);
          return this.closes;
        },
      },
      'test 1.0',
    );
  }

  get path(): string {
    return controlPath(this.folder, 'run', process.pid);
  }

  async serve(): Promise<void> {
    this.server = await ControlServer.open(this.path, [this.folder], async (request) => {
      if (request.command !== 'capture') return { is: request.command };
      return new Stream({ format: 'pcapng' }, await this.captures.begin(readCapture(request)));
    });
  }

  async end(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await this.server?.close();
    rmSync(this.folder, { recursive: true });
  }

  /** Asks as `tspmd capture` does. */
  open(request: object = {}): Promise<CaptureStream> {
    return CaptureStream.open({ path: this.path, kind: 'run', pid: process.pid, owner: 0 } as ControlFile, request);
  }

  /** A client that does as the test says. */
  raw(text: string): Socket {
    const socket = connect(this.path);
    this.sockets.push(socket);
    socket.on('error', () => {});
    socket.write(text);
    return socket;
  }

  /** `count` packets of `length` bytes come in capture `id`, a while ago. Each begins with its number, from `from` on. */
  come(id: number, count: number, { length = 100, from = 0, number = 0, ring = 0, reason = NO_REASON } = {}): void {
    const writer = this.writers.get(id)![ring]!;
    for (let i = from; i < from + count; i++) {
      writer.see();
      const where = whereOf(i % 2 === 0 ? DIRECTION_IN : DIRECTION_OUT, number);
      const at = writer.reserve(where | (1 << 14), reason, length, performance.now() - 1000, length, 0);
      if (at >= 0) writer.views.u32[at >>> 2] = i;
    }
    writer.publish();
  }

  /** What the first ring of a capture has found, and lost. */
  countsOf(id: number): { readonly seen: number; readonly lost: number } {
    const [{ views }] = this.writers.get(id) as [RecordWriter];
    return new RecordReader(views.u8.buffer as SharedArrayBuffer);
  }

  private begin({ id }: CaptureWish): OpenedCapture {
    const rings = Array.from({ length: this.rings }, () => makeRecordRing(SMALL_RING));
    this.writers.set(
      id,
      rings.map((ring) => new RecordWriter(ring, performance.timeOrigin)),
    );
    return { rings, interfaces: this.interfaces, reasons: ['no reason', 'no room'] };
  }
}

/** What a stream has sent, read back. */
export interface ReadCapture {
  readonly summary: CaptureSummary | null;
  /** The blocks of the file, by their types, in order. */
  readonly types: readonly number[];
  /** The numbers that the packets begin with, their interfaces and their comments. */
  readonly numbers: readonly number[];
  readonly interfaces: readonly number[];
  readonly text: string;
}

/** Reads a stream to its end; `each` is called after each piece. */
export async function readAll(stream: CaptureStream, each = async (): Promise<void> => {}): Promise<ReadCapture> {
  const pieces: Buffer[] = [];
  const summary = await stream.read(async (piece) => {
    pieces.push(piece);
    await each();
  });
  const bytes = Buffer.concat(pieces);
  const [types, numbers, interfaces]: number[][] = [[], [], []];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) {
    const type = bytes.readUInt32LE(at);
    types!.push(type);
    if (type !== 6) continue;
    numbers!.push(bytes.readUInt32LE(at + 28));
    interfaces!.push(bytes.readUInt32LE(at + 8));
  }
  return { summary, types: types!, numbers: numbers!, interfaces: interfaces!, text: bytes.toString('latin1') };
}

/** A request that asks for everything, unless the fields say otherwise. */
export function requestFor(fields: object = {}): CaptureRequest {
  return readCapture(fields);
}
