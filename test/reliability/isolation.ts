/**
 * `npm run faults -- isolation`: what each kind of hostile neighbour costs two others on the switch. The rates are compared with
 * those beside a neighbour that only uses a CPU.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ALL_MODES } from '../support/modes.js';
import {
  ADDRESS_INVENTORS,
  floodsObservers,
  HOSTILE_KINDS,
  type HostileKind,
  IsolationTestbed,
  missingFor,
} from './isolation-testbed.js';
import { spread, thousands } from './report.js';

const WINDOW_MS = 1000;
const TURNS = 5;
const SETTLE_MS = 200;
/** Longer than an endpoint asks for an address that nobody answers for, and than it trusts an address that it heard of once. */
const INVENTORS_MS = 40_000;

interface Share {
  readonly rates: number[];
  lost: number;
  /** Packets that found no room in the ring of an observer. */
  full: number;
}

/** Says which rate is left beside each kind of neighbour, and what is lost. Returns false when there was a violation. */
export async function measureIsolation(say: (line: string) => void, stop: AbortSignal): Promise<boolean> {
  const shares = new Map<(typeof HOSTILE_KINDS)[number], Share>();
  for (const kind of HOSTILE_KINDS) {
    const missing = missingFor(kind);
    if (missing === null) shares.set(kind, { rates: [], lost: 0, full: 0 });
    else say(`isolation: beside one that ${kind}: not measured: ${missing}`);
  }
  const isolation = await IsolationTestbed.open();
  let violations: string[] = [];
  try {
    isolation.testbed.control.go();
    // In turns, because the machine is not equally busy all the time.
    for (let turn = 0; turn < TURNS && !stop.aborted; turn++) {
      for (const [kind, share] of shares) await measure(isolation, kind, share);
    }
    violations = await isolation.violations();
  } finally {
    await isolation.close();
  }
  const alone = spread(shares.get('burns')?.rates ?? []).median;
  for (const [kind, { rates, lost, full }] of shares) {
    const { median } = spread(rates);
    const share = kind === 'burns' ? '' : `, ${Math.round((100 * median) / alone)} %`;
    say(
      `isolation: beside one that ${kind}: ${thousands(median)} answers a second${share}; ${thousands(lost)} requests lost`,
    );
    if (lost > full && !floodsObservers(kind))
      violations.push(`${lost} lost beside one that ${kind}, ${full} by a full ring`);
  }
  for (const line of violations) say(`isolation: VIOLATION: ${line}`);
  const isGood = violations.length === 0;
  return (await measureAddressInventors(say, stop)) && isGood;
}

/** Says what two endpoints lose beside neighbours that invent addresses, in each thread layout. Returns false when it is anything. */
async function measureAddressInventors(say: (line: string) => void, stop: AbortSignal): Promise<boolean> {
  let isGood = true;
  for (const mode of ALL_MODES) {
    if (stop.aborted) break;
    const isolation = await IsolationTestbed.open(mode);
    try {
      for (const kind of ADDRESS_INVENTORS) {
        const { answered, lost, full } = await isolation.endure(kind, INVENTORS_MS);
        const rate = thousands((1000 * answered) / INVENTORS_MS);
        say(
          `isolation, mode ${mode}: beside one that ${kind}: ${rate} answers a second; ${thousands(lost)} requests lost, ` +
            `${thousands(full)} packets found a full ring`,
        );
        if (lost > full) isGood = false;
      }
      for (const line of await isolation.violations()) {
        say(`isolation, mode ${mode}: VIOLATION: ${line}`);
        isGood = false;
      }
    } finally {
      await isolation.close();
    }
  }
  return isGood;
}

async function measure(isolation: IsolationTestbed, kind: HostileKind, share: Share): Promise<void> {
  const fullBefore = await isolation.ringsFull();
  const { missing } = await isolation.totals();
  const neighbour = await isolation.invite(kind);
  try {
    await sleep(SETTLE_MS);
    const start = performance.now();
    const before = await isolation.totals();
    await sleep(WINDOW_MS);
    const after = await isolation.totals();
    share.rates.push((1000 * (after.answered - before.answered)) / (performance.now() - start));
  } finally {
    await neighbour.stop();
  }
  share.lost += await isolation.lostSince(missing);
  share.full += (await isolation.ringsFull()) - fullBefore;
}
