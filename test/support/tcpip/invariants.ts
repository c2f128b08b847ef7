/**
 * What must be true of a stack between two polls, whatever it has received: the words of each row agree with each other
 * and with a recount, and every row, timer, region, flow and place in a backlog is in use exactly once.
 */
import type { TcpParts } from '../../../src/tcpip/tcp/assemble.js';
import type { Recovery } from '../../../src/tcpip/tcp/recovery/recovery.js';
import {
  BITS,
  END,
  NEXT,
  NO_RECORD,
  PREVIOUS,
  SEGMENT_LOST,
  SEGMENT_RELOST,
  SEGMENT_RESENT,
  SEGMENT_SACKED,
  SEQ,
} from '../../../src/tcpip/tcp/recovery/sent-ring.js';
import { MIN_REGION_BYTES, type Region } from '../../../src/tcpip/tcp/state/regions.js';
import {
  CWND,
  FIN_SEQ,
  FLAG_FIN_QUEUED,
  FLAG_FIN_SEEN,
  FLAG_FIN_SENT,
  FLAG_LISTED,
  FLAG_PERSIST,
  FLAG_SACK,
  FLAGS,
  INTERVALS,
  LOST_BYTES,
  LOST_LIST,
  MSS,
  NEXT_ROW,
  PIPE,
  PORTS,
  RCV_ADV,
  RCV_NXT,
  RELOST_LIST,
  REMOTE,
  RESENT_LIST,
  RING_HEAD,
  RING_TAIL,
  ROW_SHIFT,
  SACKED_BYTES,
  SACKED_SEGMENTS,
  SND_END,
  SND_NXT,
  SND_UNA,
  STATE,
  STATE_CLOSED,
  STATE_ESTABLISHED,
  STATE_SYN_RECEIVED,
  STATE_SYN_SENT,
  STATE_UNREAD,
  STATES,
  TAKEN,
} from '../../../src/tcpip/tcp/state/rows.js';
import { NO_ROW, type Table, TIMER_RETRANSMIT, timerId, timersFor } from '../../../src/tcpip/tcp/state/table.js';
import type { Tcp } from '../../../src/tcpip/tcp/tcp.js';

const MAX_WINDOW = 2 ** 30;

/** The parts of a TCP, which are private. */
export function partsOf(tcp: Tcp): TcpParts {
  return tcp['parts'];
}

/** @throws Error that names what is not as it must be */
export function checkInvariants(tcp: Tcp): void {
  const { table, recovery, timeWait, listeners } = partsOf(tcp);
  const { i32, wheel, regions, flows } = table;
  const rings = recovery.ring['rings'];
  let live = 0;
  let listed = 0;
  let bytes = 0;
  const states = new Array<number>(STATES).fill(0);
  const halfOpen = new Map<object, number>();
  for (let row = 0; row < table.connections.length; row++) {
    const r = row << ROW_SHIFT;
    if ((i32[r + FLAGS]! & FLAG_LISTED) !== 0) listed++;
    const held = [
      table.sendRegions[row],
      table.receiveRegions[row],
      table.intervalRegions[row],
      rings[row],
    ] as (Region | null)[];
    const backlog = table.backlogs[row];
    if (i32[r + STATE] === 0) {
      check(
        held.every((region) => region === null),
        `closed row ${row} has a region`,
      );
      for (let kind = 0; kind < timersFor(1); kind++) {
        check(!wheel.isSet(timerId(r, kind)), `closed row ${row} has timer ${kind}`);
      }
      check(backlog === null, `closed row ${row} counts in a backlog`);
      continue;
    }
    live++;
    states[i32[r + STATE]!]!++;
    for (const region of held) {
      if (region === null) continue;
      check(region.used, `row ${row} has a region that is free`);
      bytes += region.size;
    }
    check(flows.find(i32[r + REMOTE]!, i32[r + PORTS]!) === row, `row ${row} is not in the flow table`);
    if (backlog !== null) {
      check(i32[r + STATE] === STATE_SYN_RECEIVED, `row ${row} counts in a backlog in state ${i32[r + STATE]}`);
      halfOpen.set(backlog!, (halfOpen.get(backlog!) ?? 0) + 1);
    }
    checkRow(table, recovery, r);
  }
  for (const [state, count] of table.states.entries()) {
    const found = state === STATE_CLOSED ? count : states[state]!;
    check(found === count, `${found} rows are in state ${state}, the table counts ${count}`);
  }
  check(live === table.size, `${live} rows are in use, the table counts ${table.size}`);
  check(listed === table.listed, `${listed} rows are listed, the table counts ${table.listed}`);
  const waiting = timeWait.size;
  check(flows.size === live + waiting, `${flows.size} flows, ${live} rows and ${waiting} in TIME_WAIT`);
  check(bytes === regions.used, `regions of ${bytes} bytes, the pool counts ${regions.used}`);
  // The first records of what is in flight are never refused.
  const limit = regions.limit + live * MIN_REGION_BYTES;
  check(regions.used <= limit, `${regions.used} bytes of regions, at most ${limit}`);
  checkLists(table, live);
  checkTimers(table);
  for (const listener of listeners['byPort'].values()) {
    const expected = halfOpen.get(listener) ?? 0;
    check(listener.halfOpen === expected, `port ${listener.port}: ${expected} half-open, counted ${listener.halfOpen}`);
  }
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`invariant: ${what}`);
}

/** Every row is in use, free, closed, or closed and still listed. */
function checkLists(table: Table, live: number): void {
  const { i32 } = table;
  const rows = table.connections.length;
  const walk = (first: number): number => {
    let count = 0;
    for (let r = first; r !== NO_ROW; r = i32[r + NEXT_ROW]!) check(++count <= rows, 'a list of rows is a circle');
    return count;
  };
  const listed = walk(table['firstListed']);
  check(listed === table.listed, `${listed} rows in the list, the table counts ${table.listed}`);
  let closed = 0;
  for (let r = table['firstListed']; r !== NO_ROW; r = i32[r + NEXT_ROW]!) if (i32[r + STATE] === 0) closed++;
  const free = walk(table['firstFree']) + walk(table['closed']);
  check(live + free + closed === rows, `${rows} rows: ${live} in use, ${free} free, ${closed} closed and listed`);
}

function checkTimers({ wheel, connections }: Table): void {
  let armed = 0;
  for (let id = 0; id < timersFor(connections.length); id++) if (wheel.isSet(id)) armed++;
  check(armed === wheel.armed, `${armed} timers are set, the wheel counts ${wheel.armed}`);
}

function checkRow(table: Table, recovery: Recovery, r: number): void {
  const { i32 } = table;
  const state = i32[r + STATE]!;
  const fail = (what: string): never => {
    throw new Error(`invariant: row ${r >> ROW_SHIFT} in state ${state}: ${what}`);
  };
  const flags = i32[r + FLAGS]!;
  const una = i32[r + SND_UNA]!;
  const inFlight = (i32[r + SND_NXT]! - una) | 0;
  const unsent = (i32[r + SND_END]! - i32[r + SND_NXT]!) | 0;
  if (inFlight < 0 || inFlight > MAX_WINDOW) fail(`${inFlight} bytes in flight`);
  const finSent = (flags & FLAG_FIN_SENT) !== 0;
  if (finSent ? unsent !== -1 && una !== i32[r + SND_NXT] : unsent < 0) fail(`${unsent} bytes unsent`);
  if (finSent && (flags & FLAG_FIN_QUEUED) === 0) fail('a FIN was sent that nobody wanted');
  const isOpen = state >= STATE_ESTABLISHED && state !== STATE_UNREAD;
  const row = r >> ROW_SHIFT;
  const send = table.sendRegions[row]!;
  const held = (i32[r + SND_END]! - una) | 0;
  if (state !== STATE_SYN_SENT && state !== STATE_SYN_RECEIVED && held > 0) {
    if (send === null || held > send.size) fail(`${held} bytes in a send region of ${send?.size}`);
  } else if (isOpen && send !== null) {
    fail('an empty send region');
  }
  if (state === STATE_SYN_SENT) {
    if (!table.wheel.isSet(timerId(r, TIMER_RETRANSMIT))) fail('no timer');
    return;
  }
  checkReceiver(table, r, fail);
  if (state < STATE_ESTABLISHED) {
    if (!table.wheel.isSet(timerId(r, TIMER_RETRANSMIT))) fail('no timer');
    return;
  }
  checkSender(recovery, r, i32, fail);
  if (!isOpen) return;
  const isArmed = table.wheel.isSet(timerId(r, TIMER_RETRANSMIT));
  if (inFlight > 0 && !isArmed) fail('data is in flight without a timer');
  if ((flags & FLAG_PERSIST) !== 0 && !isArmed) fail('probes of the window without a timer');
  const wants = unsent > 0 || ((flags & FLAG_FIN_QUEUED) !== 0 && !finSent);
  if (wants && inFlight === 0 && !isArmed && (flags & FLAG_LISTED) === 0 && !table.isStarved)
    fail('nothing will ever send what waits');
  if (i32[r + CWND]! <= 0 || i32[r + CWND]! > MAX_WINDOW) fail(`cwnd of ${i32[r + CWND]}`);
  if (i32[r + MSS]! <= 0) fail(`MSS of ${i32[r + MSS]}`);
}

function checkReceiver(table: Table, r: number, fail: (what: string) => never): void {
  const { i32 } = table;
  const row = r >> ROW_SHIFT;
  const next = i32[r + RCV_NXT]!;
  const hasFin = (i32[r + FLAGS]! & FLAG_FIN_SEEN) !== 0 && ((next - i32[r + FIN_SEQ]!) | 0) > 0;
  const window = (i32[r + RCV_ADV]! - next) | 0;
  // The FIN may lie behind the last byte of the window.
  if (window < (hasFin ? -1 : 0) || window > MAX_WINDOW + (1 << 14)) fail(`a receive window of ${window}`);
  const waiting = (next - (hasFin ? 1 : 0) - i32[r + TAKEN]!) | 0;
  if (waiting < 0) fail(`${waiting} bytes wait`);
  const count = i32[r + INTERVALS]!;
  const intervals = table.intervalRegions[row]!;
  if (count > 0 !== (intervals !== null)) fail(`${count} intervals in a region of ${intervals?.size}`);
  let end = next;
  for (let i = 0; i < count; i++) {
    const at = (intervals.start >> 2) + 2 * i;
    const from = intervals.i32[at]!;
    const to = intervals.i32[at + 1]!;
    if (((from - end) | 0) <= 0) fail(`interval ${i} touches the bytes before it`);
    if (((to - from) | 0) <= 0) fail(`interval ${i} has ${(to - from) | 0} bytes`);
    if (((to - i32[r + RCV_ADV]!) | 0) > 0) fail(`interval ${i} lies beyond the window`);
    end = to;
  }
  const span = (end - (count === 0 && hasFin ? 1 : 0) - i32[r + TAKEN]!) | 0;
  const region = table.receiveRegions[row]!;
  if ((waiting > 0 || count > 0) && (region === null || span > region.size)) {
    fail(`${span} bytes in a receive region of ${region?.size}`);
  }
}

/** The records of what is in flight, and the sums over them. */
function checkSender(recovery: Recovery, r: number, i32: Int32Array, fail: (what: string) => never): void {
  const { ring } = recovery;
  ring.select(r);
  const { words } = ring;
  let [pipe, lost, sacked, sackedSegments] = [0, 0, 0, 0];
  const members = { resent: 0, lost: 0, relost: 0 };
  let next = i32[r + SND_UNA]!;
  for (let record = i32[r + RING_HEAD]!; record !== i32[r + RING_TAIL]; record = ring.after(record)) {
    const at = ring.at(record);
    if (words[at + SEQ] !== next) fail(`record ${record} begins at ${words[at + SEQ]}, not at ${next}`);
    next = words[at + END]!;
    const length = (next - words[at + SEQ]!) | 0;
    if (length <= 0) fail(`record ${record} has ${length} bytes`);
    const bits = words[at + BITS]!;
    if ((bits & SEGMENT_SACKED) !== 0) {
      sacked += length;
      sackedSegments++;
      if ((bits & (SEGMENT_LOST | SEGMENT_RELOST | SEGMENT_RESENT)) !== 0) fail(`record ${record} has bits ${bits}`);
    } else if ((bits & SEGMENT_LOST) !== 0) {
      lost += length;
    } else {
      pipe += length;
    }
    if ((bits & SEGMENT_RESENT) !== 0) members.resent++;
    else if ((bits & SEGMENT_RELOST) !== 0) members.relost++;
    else if ((bits & SEGMENT_LOST) !== 0) members.lost++;
  }
  if (next !== i32[r + SND_NXT]) fail(`records end at ${next}, SND.NXT is ${i32[r + SND_NXT]}`);
  if (pipe !== i32[r + PIPE]) fail(`pipe is ${i32[r + PIPE]}, a recount says ${pipe}`);
  if (lost !== i32[r + LOST_BYTES]) fail(`${i32[r + LOST_BYTES]} bytes are lost, a recount says ${lost}`);
  if (sacked !== i32[r + SACKED_BYTES]) fail(`${i32[r + SACKED_BYTES]} bytes are SACKed, a recount says ${sacked}`);
  if ((i32[r + FLAGS]! & FLAG_SACK) !== 0 && sackedSegments !== i32[r + SACKED_SEGMENTS]) {
    fail(`${i32[r + SACKED_SEGMENTS]} segments are SACKed, a recount says ${sackedSegments}`);
  }
  const walk = (list: number, count: number): void => {
    let previous = NO_RECORD;
    let seen = 0;
    for (let record = i32[list]!; record !== NO_RECORD; record = words[ring.at(record) + NEXT]!) {
      if (++seen > count) fail(`list ${list - r} has more than ${count} records`);
      if (!ring.has(r, record)) fail(`list ${list - r} has record ${record}, which is gone`);
      if (words[ring.at(record) + PREVIOUS] !== previous) fail(`list ${list - r} is broken at record ${record}`);
      previous = record;
    }
    if (seen !== count) fail(`list ${list - r} has ${seen} records of ${count}`);
    if (i32[list + 1] !== previous) fail(`list ${list - r} does not end at its end`);
  };
  walk(r + RESENT_LIST, members.resent);
  walk(r + LOST_LIST, members.lost);
  walk(r + RELOST_LIST, members.relost);
}
