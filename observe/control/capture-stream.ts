/**
 * The other end of a capture: asks a process for one and gets pcapng. Root also asks processes of other users, so everything
 * that comes has a bound.
 */
import { connect, type Socket } from 'node:net';
import type { CaptureSummary } from '../capture/session.js';
import { ANSWER_MS } from './client.js';
import type { ControlFile } from './files.js';
import { replyOf } from './requests.js';

/** The most characters of a line, and the most bytes of a piece. */
const MAX_LINE = 4096;
const MAX_PIECE = 1 << 21;

/** Takes a piece of the file; resolves when it is ready for the next one. */
export type TakePiece = (piece: Buffer) => Promise<void>;

/** What a line between two pieces says. */
type Line = { readonly pcapng: number } | { readonly done: CaptureSummary };

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function lineOf(text: string): Line {
  const line = JSON.parse(text) as { pcapng?: unknown; done?: { packets?: unknown; lost?: unknown } };
  if (isCount(line.pcapng) && line.pcapng <= MAX_PIECE) return { pcapng: line.pcapng };
  const { packets, lost } = line.done ?? {};
  if (isCount(packets) && isCount(lost)) return { done: { packets, lost } };
  throw new Error('unknown line');
}

export class CaptureStream {
  private constructor(
    private readonly socket: Socket,
    private readonly title: string,
  ) {}

  /**
   * Asks for a capture.
   * @param request as `observe/capture/request.ts` reads it
   * @throws (rejects) with one line when the process refuses it, or does not answer
   */
  static async open({ path, kind, pid }: ControlFile, request: object): Promise<CaptureStream> {
    const title = `${kind} ${pid}`;
    const socket = connect(path);
    const stream = new CaptureStream(socket, title);
    socket.on('error', () => socket.destroy());
    socket.write(`${JSON.stringify({ command: 'capture', ...request })}\n`);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      socket.destroy();
    }, ANSWER_MS);
    try {
      const line = await stream.line();
      if (isLate) throw new Error(`${title} does not answer (waited ${ANSWER_MS / 1000} s)`);
      if (line === null) throw new Error(`${title} has ended`);
      const reply = replyOf(line);
      if (reply === null) throw new Error(`${title} answers with something that is no reply`);
      if (!reply.ok) throw new Error(`${title} says: ${reply.error.slice(0, MAX_LINE)}`);
      return stream;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks for the end: what was captured until now still comes. */
  stop(): void {
    this.socket.write('\n');
  }

  /**
   * Takes all pieces.
   * @returns what the capture was; null when the process has ended before it could say so
   * @throws (rejects) with what `take` has thrown, or when the process sends something else. The capture has ended then
   */
  async read(take: TakePiece): Promise<CaptureSummary | null> {
    try {
      for (;;) {
        const text = await this.line();
        if (text === null) return null;
        const line = this.parsed(text);
        if ('done' in line) return line.done;
        const piece = await this.bytes(line.pcapng);
        if (piece === null) return null;
        await take(piece);
      }
    } finally {
      this.socket.destroy();
    }
  }

  private parsed(text: string): Line {
    try {
      return lineOf(text);
    } catch {
      throw new Error(`${this.title} sends something that is no capture`);
    }
  }

  /** The next line; null: the connection has ended. */
  private async line(): Promise<string | null> {
    const { socket } = this;
    let text = '';
    for (;;) {
      const part = (await this.some()) as Buffer | null;
      if (part === null) return null;
      const end = part.indexOf('\n');
      text += part.toString('utf8', 0, end < 0 ? part.length : end);
      if (end >= 0) {
        if (end + 1 < part.length) socket.unshift(part.subarray(end + 1));
        return text;
      }
      if (text.length > MAX_LINE) throw new Error(`${this.title} sends a line without end`);
    }
  }

  private async bytes(count: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.some();
      if (part === null) return null;
      if (part.length > left) this.socket.unshift(part.subarray(left));
      parts.push(part.subarray(0, left));
      left -= Math.min(left, part.length);
    }
    return Buffer.concat(parts);
  }

  /** What has come; null when the connection has ended. */
  private some(): Promise<Buffer | null> {
    const { socket } = this;
    return new Promise((resolve) => {
      const look = (): boolean => {
        const part = socket.read() as Buffer | null;
        const isOver = part === null && (socket.destroyed || socket.readableEnded);
        if (part === null && !isOver) return false;
        for (const event of ['readable', 'end', 'close']) socket.off(event, look);
        resolve(part);
        return true;
      };
      if (look()) return;
      for (const event of ['readable', 'end', 'close']) socket.on(event, look);
    });
  }
}
