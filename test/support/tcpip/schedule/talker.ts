/** One end of a connection in a random schedule: follows its plan, and checks all that the stack tells it. */

import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import type { Random } from '../../../fuzz/random.js';
import { matchPatternAt, writePatternAt } from '../pattern.js';
import type { Simulation } from '../sim/simulation.js';
import { LATE_MS, type Plan } from './plan.js';

/** Bytes are written from a place that is not aligned. */
const SOURCE = new Uint8Array(65_536 + 3);

/** What talkers share. */
export interface Talk {
  readonly sim: Simulation;
  readonly random: Random;
  /** Notes a breach of the stack's promises. */
  fault(what: string): void;
}

export class Talker {
  connection: Connection | null = null;
  /** Names the ends of the connection, this one first; empty until it is opened. */
  name = '';
  written = 0;
  received = 0;
  isOpen = false;
  hasEnded = false;
  sawEnd = false;
  isClosed = false;
  isAborted = false;
  error: Error | null = null;
  private isPaused = false;
  private wantsDrain = false;
  private waitsToWrite = false;
  private sendPlace = 0;
  private receivePlace = 0;

  constructor(
    private readonly talk: Talk,
    readonly plan: Plan,
  ) {}

  /** The connection was begun, not opened yet. */
  take(connection: Connection): void {
    const { localPort, remotePort } = connection;
    this.connection = connection;
    connection.context = this;
    this.name = `${connection.localAddress}:${localPort} ${connection.remoteAddress}:${remotePort}`;
    this.sendPlace = streamPlace(localPort, remotePort);
    this.receivePlace = streamPlace(remotePort, localPort);
  }

  open(): void {
    this.check(!this.isOpen, 'opened twice');
    this.isOpen = true;
    const { abortAfterMs } = this.plan;
    if (abortAfterMs !== null) this.later(abortAfterMs, () => this.abort());
    this.pump();
  }

  data(bytes: Uint8Array, offset: number, length: number): void {
    const { plan, talk } = this;
    this.check(this.isOpen && !this.sawEnd, 'data before open or after end');
    this.check(!this.isPaused, 'data while paused');
    this.check(length > 0, 'data of no bytes');
    const right = matchPatternAt(bytes, offset, length, this.receivePlace + this.received);
    this.check(right === length, `byte ${this.received + right} is wrong`);
    this.received += length;
    if (!talk.random.chance(plan.pauseRead)) return;
    this.isPaused = true;
    this.connection!.pause();
    this.later(talk.random.unit() * plan.pauseMs, () => {
      this.isPaused = false;
      this.connection!.resume();
    });
  }

  drain(): void {
    this.check(this.wantsDrain, 'drain although the last write took all');
    this.wantsDrain = false;
    this.pump();
  }

  end(): void {
    this.check(this.isOpen && !this.sawEnd, 'end before open, or twice');
    this.check(!this.isPaused, 'end while paused');
    this.sawEnd = true;
    this.maybeEnd();
  }

  close(error: Error | null): void {
    this.check(!this.isClosed, 'closed twice');
    this.isClosed = true;
    this.error = error;
    this.connection = null;
  }

  private pump(): void {
    const { plan, talk } = this;
    while (!this.isClosed && !this.wantsDrain && !this.waitsToWrite && this.written < plan.bytes) {
      if (talk.random.chance(plan.pauseWrite)) {
        this.waitsToWrite = true;
        this.later(talk.random.unit() * plan.pauseMs, () => {
          this.waitsToWrite = false;
          this.pump();
        });
        return;
      }
      const length = Math.min(1 + talk.random.below(plan.chunk), plan.bytes - this.written);
      const offset = talk.random.below(4);
      writePatternAt(SOURCE, offset, length, this.sendPlace + this.written);
      const taken = this.connection!.write(SOURCE, offset, length);
      // The stack has its own copy.
      SOURCE.fill(0xee, offset, offset + length);
      this.check(taken >= 0 && taken <= length, `write of ${length} bytes has taken ${taken}`);
      this.written += taken;
      this.wantsDrain = taken < length;
    }
    this.maybeEnd();
  }

  private maybeEnd(): void {
    const { plan } = this;
    if (this.isClosed || this.hasEnded || this.written < plan.bytes) return;
    if (plan.ends === 'early' || this.sawEnd) this.finish();
    else if (!this.waitsToWrite) this.later(LATE_MS, () => this.finish());
  }

  private finish(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.connection!.end();
    this.check(this.isClosed || this.connection!.write(SOURCE, 0, 10) === 0, 'write after end has taken bytes');
  }

  private abort(): void {
    this.isAborted = true;
    this.connection!.abort();
    this.check(this.isClosed, 'abort has not closed');
  }

  /** Does something later, unless the connection is over. */
  private later(ms: number, act: () => void): void {
    this.talk.sim.after(ms, () => {
      if (!this.isClosed) act();
    });
  }

  private check(isRight: boolean, what: string): void {
    if (!isRight) this.talk.fault(`${this.name}: ${what}`);
  }
}

/** Makes handlers for connections whose talkers are made when they open, or were made before. */
export function talkerHandlers(makePassive: () => Talker): TcpHandlers {
  const of = (connection: Connection): Talker => connection.context as Talker;
  return {
    open: (connection) => {
      if (connection.context === undefined) makePassive().take(connection);
      of(connection).open();
    },
    data: (connection, bytes, offset, length) => of(connection).data(bytes, offset, length),
    drain: (connection) => of(connection).drain(),
    end: (connection) => of(connection).end(),
    // A connection that was never opened passively has no talker.
    close: (connection, error) => (connection.context as Talker | undefined)?.close(error),
  };
}

/** Where the stream of one direction begins in the pattern: each direction of each connection has another place. */
function streamPlace(fromPort: number, toPort: number): number {
  return Math.imul(fromPort * 65_536 + toPort, 0x2545f491) >>> 4;
}
