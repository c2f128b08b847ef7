/** The captures of a process, in the thread of the observer: a bounded number, each begun and ended in the main thread. */
import type { Socket } from 'node:net';
import { RequestError } from '../control/requests.js';
import type { CaptureRequest } from './request.js';
import { CaptureSession, type OpenedCapture } from './session.js';
import type { CaptureWish } from './sink.js';

/** The most captures at a time: each costs the threads with the packets a copy per packet, and memory. */
const MAX_CAPTURES = 4;

/** Time until a main thread that did not end a capture is asked again, in ms. */
const RETRY_MS = 1000;

/** Begins and ends captures in the threads with the packets. */
export interface CaptureControl {
  open(wish: CaptureWish): Promise<OpenedCapture>;
  close(id: number): Promise<unknown>;
}

export class Captures {
  private lastId = 0;
  /** Captures that have begun, or are about to. */
  private count = 0;
  private readonly sessions = new Map<CaptureSession, Promise<void>>();
  private isClosed = false;

  constructor(
    private readonly control: CaptureControl,
    /** What writes the files, for their head. */
    private readonly application: string,
  ) {}

  /**
   * Begins a capture.
   * @returns sends it to a socket, and resolves when it is over
   * @throws (rejects) RequestError when there are too many captures, or the main thread does not begin this one
   */
  async begin(wanted: CaptureRequest): Promise<(socket: Socket) => Promise<void>> {
    if (this.count >= MAX_CAPTURES) {
      throw new RequestError(`${MAX_CAPTURES} captures of this process run already; end one of them`);
    }
    this.count++;
    const { id, opened } = await this.open(wanted).catch((error: unknown) => {
      this.count--;
      throw error;
    });
    return (socket) => this.run(new CaptureSession(socket, wanted, opened, this.application), id);
  }

  /** Begins a capture that is read here, and does not count as one. */
  async open(wanted: Omit<CaptureRequest, 'count' | 'duration'>): Promise<{ id: number; opened: OpenedCapture }> {
    const id = ++this.lastId;
    const { filter, directions, drops, snaplen, port } = wanted;
    try {
      return { id, opened: await this.control.open({ id, filter, directions, drops, snaplen, port }) };
    } catch (error) {
      // It may have begun although the answer came too late.
      void this.close(id);
      throw error;
    }
  }

  /** Ends a capture. A main thread that hangs is asked again later: otherwise it would copy packets for ever. */
  async close(id: number): Promise<void> {
    try {
      await this.control.close(id);
    } catch {
      if (!this.isClosed) setTimeout(() => void this.close(id), RETRY_MS).unref();
    }
  }

  /** Ends all captures in good order. */
  async end(): Promise<void> {
    this.isClosed = true;
    for (const session of this.sessions.keys()) session.end();
    await Promise.all(this.sessions.values());
  }

  private async run(session: CaptureSession, id: number): Promise<void> {
    const running = session.run(() => this.close(id));
    this.sessions.set(session, running);
    if (this.isClosed) session.end();
    try {
      await running;
    } finally {
      this.sessions.delete(session);
      this.count--;
    }
  }
}
