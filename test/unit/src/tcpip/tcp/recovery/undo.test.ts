import { beforeEach, describe, expect, it } from 'vitest';
import { AckEvent } from '../../../../../../src/tcpip/tcp/recovery/ack-event.js';
import { FRTO, FRTO_NEW_DATA, LOSS, OPEN, RECOVERY } from '../../../../../../src/tcpip/tcp/recovery/bits.js';
import { SentRing } from '../../../../../../src/tcpip/tcp/recovery/sent-ring.js';
import { beginFrto, beginUndo, isSpurious, noteRetransmission } from '../../../../../../src/tcpip/tcp/recovery/undo.js';
import { RegionPool } from '../../../../../../src/tcpip/tcp/state/regions.js';
import {
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAGS,
  RECOVERY_BITS,
  RECOVERY_POINT,
  RESENT_LIST,
  SND_END,
  SND_NXT,
  SND_WND,
  UNDO_COUNT,
} from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

let row: ReturnType<typeof senderRow>;
let ring: SentRing;

/** A recovery of segments from 0 to 10,000 began. */
function begin(state: number): void {
  row.i32[row.r + RECOVERY_POINT] = 10_000;
  row.i32[row.r + SND_NXT] = 10_000;
  row.i32[row.r + SND_END] = 50_000;
  row.i32[row.r + SND_WND] = 50_000;
  beginUndo(row.i32, row.r, ring, 0);
  row.i32[row.r + RECOVERY_BITS]! |= state;
}

function ack(ackNumber: number, una: number, more: Partial<AckEvent> = {}): boolean {
  const event = new AckEvent();
  event.begin(ackNumber, una, 0, 0);
  return isSpurious(row.i32, row.r, Object.assign(event, more));
}

const dsack = (start: number, end: number) => ({ dsack: true, dsackStart: start, dsackEnd: end });

describe('Undo', () => {
  beforeEach(() => {
    row = senderRow(1000, FLAG_SACK);
    ring = new SentRing(row.rows, new RegionPool(1 << 20));
    ring.open(row.r);
  });

  it('when the ACK echoes a timestamp from before the retransmission (RFC 3522, 3.2)', () => {
    begin(RECOVERY);
    noteRetransmission(row.i32, row.r, 7000);
    noteRetransmission(row.i32, row.r, 7005);
    expect(ack(1000, 0, { hasEcho: true, echoMs: 7000 })).toBe(false);
    expect(ack(0, 0, { hasEcho: true, echoMs: 6000 })).toBe(false);
    expect(ack(1000, 0, { hasEcho: true, echoMs: 6999 })).toBe(true);
  });

  it('not before something was sent again', () => {
    begin(RECOVERY);
    expect(ack(1000, 0, { hasEcho: true, echoMs: 1 })).toBe(false);
  });

  it('when D-SACKs have come for all retransmissions, also when the recovery has ended', () => {
    begin(RECOVERY);
    noteRetransmission(row.i32, row.r, 7000);
    noteRetransmission(row.i32, row.r, 7000);
    expect(ack(5000, 0, dsack(0, 1000))).toBe(false);
    row.i32[row.r + RECOVERY_BITS]! &= ~RECOVERY;
    expect(row.i32[row.r + RECOVERY_BITS]! & 3).toBe(OPEN);
    expect(ack(5000, 5000, dsack(1000, 2000))).toBe(true);
  });

  it('not by D-SACKs for other data', () => {
    begin(RECOVERY);
    noteRetransmission(row.i32, row.r, 7000);
    expect(ack(5000, 0, dsack(-1000, 0))).toBe(false);
    expect(ack(12_000, 5000, dsack(10_000, 11_000))).toBe(false);
    expect(row.i32[row.r + UNDO_COUNT]).toBe(1);
  });

  it('counts retransmissions that are still on their way', () => {
    ring.append(row.r, 0, 1000, 1, 0, 4000);
    ring.link(row.r + RESENT_LIST, 0);
    begin(RECOVERY);
    noteRetransmission(row.i32, row.r, 7000);
    // This is the ACK of the earlier one.
    expect(ack(1000, 0, { hasEcho: true, echoMs: 4000 })).toBe(false);
    expect(row.i32[row.r + UNDO_COUNT]).toBe(2);
  });
});

describe('F-RTO', () => {
  beforeEach(() => {
    row = senderRow(1000, FLAG_SACK);
    ring = new SentRing(row.rows, new RegionPool(1 << 20));
    ring.open(row.r);
    begin(LOSS);
    beginFrto(row.i32, row.r, OPEN);
    noteRetransmission(row.i32, row.r, 7000);
  });

  const bits = () => row.i32[row.r + RECOVERY_BITS]! & (FRTO | FRTO_NEW_DATA);

  it('sends new data after the first ACK, trusts the second (steps 2b, 3b)', () => {
    expect(ack(1000, 0, { ackedRetransmitted: true })).toBe(false);
    expect(bits()).toBe(FRTO | FRTO_NEW_DATA);
    expect(ack(2000, 1000, { ackedOriginal: true })).toBe(true);
  });

  it('gives up at a duplicate ACK (steps 2a and 3a)', () => {
    expect(ack(0, 0, { duplicate: true })).toBe(false);
    expect(bits()).toBe(0);
    row.i32[row.r + RECOVERY_BITS]! |= FRTO | FRTO_NEW_DATA;
    expect(ack(0, 0, { sacked: 1000 })).toBe(false);
    expect(bits()).toBe(0);
  });

  it('goes on as usual when there is no new data to send', () => {
    row.i32[row.r + SND_END] = 10_000;
    expect(ack(1000, 0, { ackedRetransmitted: true })).toBe(false);
    expect(bits()).toBe(0);
  });

  it('without SACK, an ACK that also covers the retransmission tells nothing', () => {
    row.i32[row.r + FLAGS] = 0;
    expect(ack(3000, 0, { ackedRetransmitted: true, ackedOriginal: true })).toBe(false);
    row.i32[row.r + FLAGS] = FLAG_SACK;
    expect(ack(4000, 3000, { ackedRetransmitted: true, ackedOriginal: true })).toBe(true);
  });

  it('is not used with timestamps, nor during another recovery', () => {
    row.i32[row.r + FLAGS] = FLAG_SACK | FLAG_TIMESTAMPS;
    beginFrto(row.i32, row.r, OPEN);
    expect(bits()).toBe(0);
    row.i32[row.r + FLAGS] = FLAG_SACK;
    beginFrto(row.i32, row.r, RECOVERY);
    expect(bits()).toBe(0);
  });
});
