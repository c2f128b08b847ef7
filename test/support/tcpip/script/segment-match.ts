/** Compares a segment that was sent with one that a script expects. */
import { formatSegment, type Segment, type SegmentOption, type Value } from './segment-text.js';

const same = (found: Value | undefined, expected: Value | undefined): boolean =>
  expected === undefined || expected === 'any' || found === expected;

const isPadding = ({ kind }: SegmentOption): boolean => kind === 'nop' || kind === 'eol';

/**
 * Returns what differs, one line each; nothing when the segment is as expected. Padding between options counts only when
 * the script mentions any.
 */
export function differences(found: Segment, expected: Segment): string[] {
  const lines: string[] = [];
  const add = (name: string, is: unknown, want: unknown): void => {
    lines.push(`${name} is ${String(is)}, expected ${String(want)}`);
  };
  if (found.flags !== expected.flags) add('flags', flagsOf(found), flagsOf(expected));
  for (const name of ['seq', 'length', 'ack', 'win', 'urg'] as const) {
    if (!same(found[name], expected[name])) add(name, found[name] ?? 'absent', expected[name]);
  }
  if (expected.ecn !== undefined && found.ecn !== expected.ecn) add('ecn', found.ecn, expected.ecn);
  if (expected.options !== undefined && !sameOptions(found.options ?? [], expected)) {
    add('options', optionsOf(found.options ?? []), optionsOf(expected.options));
  }
  return lines;
}

function sameOptions(found: readonly SegmentOption[], { options = [], moreOptions }: Segment): boolean {
  const all = options.some(isPadding) ? found : found.filter((option) => !isPadding(option));
  if (all.length < options.length || (all.length > options.length && moreOptions !== true)) return false;
  return options.every((option, i) => sameOption(all[i]!, option));
}

function sameOption(found: SegmentOption, expected: SegmentOption): boolean {
  if (expected.kind === 'TS' && found.kind === 'TS')
    return same(found.val, expected.val) && same(found.ecr, expected.ecr);
  if ((expected.kind === 'mss' || expected.kind === 'wscale') && found.kind === expected.kind) {
    return same(found.value, expected.value);
  }
  return JSON.stringify(found) === JSON.stringify(expected);
}

const flagsOf = (segment: Segment): string => formatSegment({ flags: segment.flags, seq: 0, length: 0 }).split(' ')[0]!;

const optionsOf = (options: readonly SegmentOption[]): string =>
  formatSegment({ flags: 0, seq: 0, length: 0, options }).replace(/^.*?</, '<');
