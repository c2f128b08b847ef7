/** A row as recovery and congestion control find it, for tests of single steps. */

import { Clock } from '../../../src/tcpip/clock.js';
import { CongestionControl } from '../../../src/tcpip/tcp/congestion/control.js';
import { openRtt } from '../../../src/tcpip/tcp/recovery/rtt.js';
import { FLAGS, MSS, ROW_WORDS, Rows } from '../../../src/tcpip/tcp/state/rows.js';

export interface SenderRow {
  rows: Rows;
  i32: Int32Array;
  f64: Float64Array;
  /** Offset of the row. */
  r: number;
  clock: Clock;
  congestion: CongestionControl;
  /** Lets `ms` pass. */
  tick(ms: number): void;
}

export function senderRow(mss = 1000, flags = 0): SenderRow {
  const rows = new Rows(2);
  const r = ROW_WORDS;
  const { i32, f64 } = rows;
  const time = { now: 5000 };
  const clock = new Clock(() => time.now);
  i32[r + MSS] = mss;
  i32[r + FLAGS] = flags;
  const congestion = new CongestionControl(rows, clock);
  openRtt(i32, f64, r, false);
  congestion.open(r, false);
  const tick = (ms: number) => {
    time.now += ms;
    clock.read();
  };
  return { rows, i32, f64, r, clock, congestion, tick };
}
