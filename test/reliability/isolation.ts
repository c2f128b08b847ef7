/**
 * `npm run faults -- isolation`: what each kind of hostile neighbour costs two others on the switch. The rates are compared with
 * those beside a neighbour that only uses a CPU.
 */
import { ALL_MODES } from '../support/threads/modes.js';
import {
  ADDRESS_INVENTORS,
  floodsObservers,
  HOSTILE_KINDS,
  IsolationTestbed,
  missingFor,
} from './isolation-testbed.js';
import { spread, thousands } from './report.js';

const WINDOW_MS = 1000;
const TURNS = 5;
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
    // In turns, because the machine is not equally busy all the time.
    for (let turn = 0; turn < TURNS && !stop.aborted; turn++) {
      for (const [kind, share] of shares) {
        const { rate, lost, full } = await isolation.endure(kind, WINDOW_MS);
        share.rates.push(rate);
        share.lost += lost;
        share.full += full;
      }
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
      `isolation: beside one that ${kind}: ${thousands(median)} answers a second${share}; ${thousands(lost)} requests lost, ` +
        `${thousands(full)} packets found a full ring`,
    );
    if (lost > full && !floodsObservers(kind))
      violations.push(`${lost} requests lost beside one that ${kind}, ${full} packets found a full ring`);
  }
  for (const line of violations) say(`isolation: VIOLATION: ${line}`);
  const isGood = violations.length === 0;
  return (await measureAddressInventors(say, stop)) && isGood;
}

/** Says what two endpoints lose beside neighbours that invent addresses, in each thread layout. Returns false when it is anything. */
async function measureAddressInventors(say: (line: string) => void, stop: AbortSignal): Promise<boolean> {
  let isGood = true;
  for (const mode of ALL_MODES) {
    for (const kind of ADDRESS_INVENTORS) {
      if (stop.aborted) return isGood;
      const isolation = await IsolationTestbed.open(mode);
      try {
        const { rate, lost, full } = await isolation.endure(kind, INVENTORS_MS);
        const violations = await isolation.violations();
        const queuesFull = await isolation.queuesFull();
        say(
          `isolation, mode ${mode}: beside one that ${kind}: ${thousands(rate)} answers a second; ${thousands(lost)} requests lost, ` +
            `${thousands(full)} packets found a full ring, ${thousands(queuesFull)} a full queue of a core`,
        );
        if (lost > full + queuesFull) violations.push(`${lost} requests lost beside one that ${kind}`);
        for (const line of violations) say(`isolation, mode ${mode}: VIOLATION: ${line}`);
        if (violations.length > 0) isGood = false;
      } finally {
        await isolation.close();
      }
    }
  }
  return isGood;
}
