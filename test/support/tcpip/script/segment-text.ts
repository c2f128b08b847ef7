/**
 * TCP segments as text, as tcpdump and packetdrill write them:
 *
 *     S 1000:1000(0) win 65535 <mss 1460, sackOK, TS val 1 ecr 0, wscale 7>
 *     P. 1:1001(1000) ack 1 win 512 urg 3
 *     [ce] . 1:1(0) ack 1 <nop, nop, sack 1001:2001 3001:4001>
 *
 * Flags are letters of `FSRP.UEW`. A number may be `any`, `ecr last` is the last timestamp of the other side, and `...`
 * as the last option allows others behind it. A part that is left out is not compared; `<>` means no options.
 */
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from '../../../../src/wire/tcp.js';

/** A number, or a word that stands for one. */
export type Value = number | 'any' | 'last';

export type SegmentOption =
  | { readonly kind: 'eol' | 'nop' | 'sackOK' }
  | { readonly kind: 'mss' | 'wscale'; readonly value: Value }
  | { readonly kind: 'sack'; readonly blocks: readonly (readonly [number, number])[] }
  | { readonly kind: 'TS'; readonly val: Value; readonly ecr: Value }
  | { readonly kind: 'raw'; readonly bytes: readonly number[] };

export const ECN_FIELDS = ['noecn', 'ect1', 'ect0', 'ce'] as const;

/** A segment as it is written. Sequence numbers are relative. */
export interface Segment {
  /** The low two bits of the DS field. */
  readonly ecn?: (typeof ECN_FIELDS)[number];
  /** The DS field above them. Only of segments that were sent. */
  readonly dscp?: number;
  /** TCP_ bits. */
  readonly flags: number;
  readonly seq: Value;
  /** Bytes of data. */
  readonly length: Value;
  readonly ack?: Value;
  /** The window field, not scaled. */
  readonly win?: Value;
  readonly urg?: Value;
  readonly options?: readonly SegmentOption[];
  /** Whether other options may follow. */
  readonly moreOptions?: boolean;
  /** The checksum is wrong. */
  readonly badsum?: boolean;
  /** The data offset in words, when it is not what the options need. */
  readonly doff?: number;
}

/** In the order in which tcpdump prints them. */
const FLAG_LETTERS: readonly (readonly [string, number])[] = [
  ['F', TCP_FIN],
  ['S', TCP_SYN],
  ['R', TCP_RST],
  ['P', TCP_PSH],
  ['.', TCP_ACK],
  ['U', TCP_URG],
  ['E', TCP_ECE],
  ['W', TCP_CWR],
];

/**
 * Reads a segment.
 * @throws SyntaxError that names the text and what is wrong with it
 */
export function parseSegment(text: string): Segment {
  const fail = (what: string): never => {
    throw new SyntaxError(`segment '${text}': ${what}`);
  };
  const match =
    /^(?:\[(\w+)\] +)?([FSRP.UEW]+|0) +(?:(any|-?\d+):(any|-?\d+))\((any|\d+)\)((?: +\w+(?: +(?:any|-?\d+))?)*)(?: *<(.*)>)?$/.exec(
      text.trim(),
    );
  if (match === null)
    return fail('want [ecn] FLAGS START:END(LENGTH) [ack N] [win N] [urg N] [doff N] [badsum] [<options>]');
  const [, ecn, letters, start, end, size, rest, options] = match;
  const seq = value(start!);
  const length = value(size!);
  const last = value(end!);
  if (typeof seq === 'number' && typeof length === 'number' && last !== seq + length && last !== 'any') {
    fail(`${start} and ${size} bytes end at ${seq + length}, not at ${end}`);
  }
  if (ecn !== undefined && !(ECN_FIELDS as readonly string[]).includes(ecn))
    fail(`[${ecn}] is none of ${ECN_FIELDS.join(', ')}`);
  return {
    ...(ecn === undefined ? {} : { ecn: ecn as (typeof ECN_FIELDS)[number] }),
    flags: parseFlags(letters!),
    seq,
    length,
    ...parseFields(rest!, fail),
    ...(options === undefined ? {} : parseOptions(options, fail)),
  };
}

/** Writes a segment, so that {@link parseSegment} reads the same one. `[noecn]`, which most have, is left out. */
export function formatSegment(segment: Segment): string {
  const { ecn, flags, seq, length, ack, win, urg, doff, badsum, options, moreOptions } = segment;
  const end = typeof seq === 'number' && typeof length === 'number' ? seq + length : 'any';
  const parts = [formatFlags(flags), `${seq}:${end}(${length})`];
  if (ecn !== undefined && ecn !== 'noecn') parts.unshift(`[${ecn}]`);
  for (const [name, number] of Object.entries({ ack, win, urg, doff })) {
    if (number !== undefined) parts.push(`${name} ${number}`);
  }
  if (badsum === true) parts.push('badsum');
  if (options !== undefined) {
    const texts = options.map(formatOption);
    if (moreOptions === true) texts.push('...');
    parts.push(`<${texts.join(', ')}>`);
  }
  return parts.join(' ');
}

function parseFlags(letters: string): number {
  let flags = 0;
  for (const [letter, bit] of FLAG_LETTERS) if (letters.includes(letter)) flags |= bit;
  return flags;
}

function formatFlags(flags: number): string {
  const letters = FLAG_LETTERS.filter(([, bit]) => (flags & bit) !== 0).map(([letter]) => letter);
  return letters.length === 0 ? '0' : letters.join('');
}

function value(text: string): Value {
  return text === 'any' || text === 'last' ? text : Number(text);
}

type Fail = (what: string) => never;
type Fields = Pick<Segment, 'ack' | 'win' | 'urg' | 'doff' | 'badsum'>;

function parseFields(text: string, fail: Fail): Fields {
  const fields: Record<string, Value | boolean> = {};
  const words = text.split(/ +/).filter((word) => word !== '');
  for (let i = 0; i < words.length; i++) {
    const name = words[i]!;
    if (name === 'badsum') {
      Object.assign(fields, { badsum: true });
    } else if (['ack', 'win', 'urg', 'doff'].includes(name)) {
      const next = words[++i];
      if (next === undefined || !/^(any|-?\d+)$/.test(next)) fail(`${name} needs a number`);
      fields[name] = value(next!);
    } else {
      fail(`'${name}' is none of ack, win, urg, doff, badsum`);
    }
  }
  return fields as Fields;
}

function parseOptions(text: string, fail: Fail): Pick<Segment, 'options' | 'moreOptions'> {
  const texts = text.split(',').map((option) => option.trim());
  if (text.trim() === '') return { options: [] };
  const moreOptions = texts.at(-1) === '...';
  if (moreOptions) texts.pop();
  const options = texts.map((option) => parseOption(option, fail));
  return { options, ...(moreOptions ? { moreOptions } : {}) };
}

function parseOption(text: string, fail: Fail): SegmentOption {
  const [kind, ...rest] = text.split(/ +/);
  const wantNumbers = (count: number): Value[] => {
    if (rest.length !== count || !rest.every((word) => /^(any|last|-?\d+)$/.test(word))) fail(`option '${text}'`);
    return rest.map(value);
  };
  switch (kind) {
    case 'eol':
    case 'nop':
    case 'sackOK':
      wantNumbers(0);
      return { kind };
    case 'mss':
    case 'wscale':
      return { kind, value: wantNumbers(1)[0]! };
    case 'TS':
      if (rest[0] !== 'val' || rest[2] !== 'ecr') fail(`option '${text}': want TS val N ecr N`);
      rest.splice(2, 1);
      rest.splice(0, 1);
      return { kind, val: wantNumbers(2)[0]!, ecr: wantNumbers(2)[1]! };
    case 'sack':
      if (!rest.every((block) => /^-?\d+:-?\d+$/.test(block))) fail(`option '${text}': want sack START:END …`);
      return { kind, blocks: rest.map((block) => block.split(':').map(Number) as [number, number]) };
    case 'raw':
      if (!/^([0-9a-f]{2})+$/i.test(rest.join(''))) fail(`option '${text}': want raw and bytes in hexadecimal`);
      return { kind, bytes: [...Buffer.from(rest.join(''), 'hex')] };
    default:
      return fail(`option '${text}' is unknown`);
  }
}

function formatOption(option: SegmentOption): string {
  switch (option.kind) {
    case 'mss':
    case 'wscale':
      return `${option.kind} ${option.value}`;
    case 'TS':
      return `TS val ${option.val} ecr ${option.ecr}`;
    case 'sack':
      return ['sack', ...option.blocks.map(([start, end]) => `${start}:${end}`)].join(' ');
    case 'raw':
      return `raw ${Buffer.from(option.bytes).toString('hex')}`;
    default:
      return option.kind;
  }
}
