import { describe, expect, it } from 'vitest';
import { beginPrr, countPrr, updatePrr } from '../../../../../../src/tcpip/tcp/congestion/prr.js';
import { CWND, PRR_FLIGHT, SACKED_BYTES, SND_NXT, SSTHRESH } from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

const MSS = 1000;

/** A recovery of `flight` segments, of which the first `lost` are lost, with ssthresh one half of them. */
function begin(flight: number) {
  const row = senderRow(MSS);
  const { i32, r } = row;
  i32[r + SND_NXT] = flight * MSS;
  i32[r + SSTHRESH] = (flight / 2) * MSS;
  beginPrr(i32, r, 0, 0);
  return row;
}

/** What is sent after an ACK: whole segments within cwnd. */
function send(row: ReturnType<typeof begin>, pipe: number): number {
  const { i32, r } = row;
  const segments = Math.max(0, Math.floor((i32[r + CWND]! - pipe * MSS) / MSS));
  for (let i = 0; i < segments; i++) countPrr(i32, r, MSS);
  return segments;
}

describe('PRR', () => {
  // Clauses: 8985-9.3b
  it('sends a segment for every other one delivered: RFC 6937, 3, first example', () => {
    // 20 segments, the first is lost; ACKs for segments 1 to 19 arrive.
    const row = begin(20);
    let pipe = 20;
    const sent: number[] = [];
    for (let ack = 1; ack < 20; ack++) {
      pipe -= 1;
      // The third duplicate ACK begins recovery; here the first, which changes nothing below.
      if (ack === 1) pipe -= 1;
      updatePrr(row.i32, row.r, pipe * MSS, MSS, false);
      const count = send(row, pipe);
      pipe += count;
      sent.push(count);
    }
    // The first one at once; then one per two ACKs.
    expect(sent.slice(0, 8)).toEqual([1, 0, 0, 1, 0, 1, 0, 1]);
    expect(pipe).toBeGreaterThanOrEqual(9);
    expect(pipe).toBeLessThanOrEqual(10);
  });

  it('conserves packets when most of the window is lost: RFC 6937, 3, second example', () => {
    // Segments 0 to 14 of 20 are lost; ACKs for 15 to 19 arrive.
    const row = begin(20);
    let pipe = 5;
    const sent: number[] = [];
    for (let ack = 0; ack < 5; ack++) {
      pipe -= 1;
      updatePrr(row.i32, row.r, pipe * MSS, MSS, false);
      const count = send(row, pipe);
      pipe += count;
      sent.push(count);
    }
    expect(sent).toEqual([1, 1, 1, 1, 1]);
    // Progress without further loss: slow start back to ssthresh.
    for (let ack = 0; ack < 20; ack++) {
      pipe -= 1;
      updatePrr(row.i32, row.r, pipe * MSS, MSS, true);
      pipe += send(row, pipe);
      expect(pipe).toBeLessThanOrEqual(10);
    }
    expect(pipe).toBe(10);
  });

  it('lets the first retransmission out even if nothing may be sent', () => {
    const row = begin(20);
    updatePrr(row.i32, row.r, 19 * MSS, 10, false);
    expect(row.i32[row.r + CWND]).toBe(20 * MSS);
  });

  it('lets a retransmission out when nothing is in the network', () => {
    const row = begin(20);
    countPrr(row.i32, row.r, 5 * MSS);
    updatePrr(row.i32, row.r, 0, 100, false);
    expect(row.i32[row.r + CWND]).toBe(MSS);
  });

  it('RecoverFS leaves out what was SACKed before (RFC 9937, 6)', () => {
    const { i32, r } = senderRow(MSS);
    i32[r + SND_NXT] = 20 * MSS;
    i32[r + SACKED_BYTES] = 3 * MSS;
    beginPrr(i32, r, 0, MSS);
    expect(i32[r + PRR_FLIGHT]).toBe(18 * MSS);
  });
});
