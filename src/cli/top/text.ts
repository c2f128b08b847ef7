/**
 * Text in cells of a terminal. Names come from the control sockets of other processes, which may lie: they are shown
 * without controls, without marks that pile up, and cut to their room.
 */
import stringWidth from 'string-width';
import { oneLine } from '../../../drivers/log/safe-text.js';

/** How a text looks; {@link painter} says by which codes. */
export type Tone = 'plain' | 'title' | 'strong' | 'dim' | 'accent' | 'warn' | 'bad';

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

/** A line of the screen. */
export interface Line {
  readonly spans: readonly Span[];
  /** Whether the line is the one that keys act on. */
  readonly isSelected?: boolean;
}

/** The most characters of a name. No column is as wide. */
const MAX_NAME = 120;
const IS_ASCII = /^[\x20-\x7e]*$/;

/** Returns any text as one that takes the cells that {@link widthOf} says, and does nothing else to a terminal. */
export function clean(text: string): string {
  const short = text.slice(0, MAX_NAME);
  if (IS_ASCII.test(short)) return short;
  return oneLine(short.normalize('NFC')).replace(/\t/g, '\\t').replace(/\p{M}/gu, '');
}

/** Returns how many cells a cleaned text takes: characters of East Asia take two. */
export function widthOf(text: string): number {
  if (IS_ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += stringWidth(character);
  return width;
}

/** Returns as much of a cleaned text as has room in `width` cells; an ellipsis shows that there is more. */
export function cut(text: string, width: number): string {
  if (width <= 0) return '';
  if (widthOf(text) <= width) return text;
  let [shown, used] = ['', 0];
  for (const character of text) {
    used += widthOf(character);
    if (used > width - 1) break;
    shown += character;
  }
  return `${shown}…`;
}

/** Returns the text with exactly `width` cells. */
export function padded(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const shown = cut(text, width);
  const space = ' '.repeat(Math.max(0, width - widthOf(shown)));
  return align === 'left' ? shown + space : space + shown;
}

export const span = (text: string, tone: Tone = 'plain'): Span => ({ text, tone });

/** Returns a line of at most `width` cells: the last span that has no room is cut. */
export function line(spans: readonly Span[], width: number): Line {
  let left = width;
  const shown: Span[] = [];
  for (const { text, tone } of spans) {
    if (left <= 0) break;
    const part = cut(text, left);
    left -= widthOf(part);
    shown.push({ text: part, tone });
  }
  return { spans: shown };
}

export const EMPTY: Line = { spans: [] };

export type Paint = (line: Line) => string;

const RESET = '\x1b[0m';
/** The selected line: with colours like the accent, so that it is not brighter than everything else. */
const REVERSE = '\x1b[7m';
const ON_ACCENT = '\x1b[30;46m';

/** Without colours (NO_COLOR), weight still tells what matters. */
const WEIGHTS: Readonly<Record<Tone, string>> = {
  ...{ plain: '', title: '\x1b[1m', strong: '\x1b[1m', dim: '\x1b[2m', accent: '', warn: '\x1b[1m', bad: '\x1b[1m' },
};
/** The sixteen colours, which every theme of a terminal makes readable. */
const COLOURS: Readonly<Record<Tone, string>> = {
  ...WEIGHTS,
  title: '\x1b[1;36m',
  accent: '\x1b[36m',
  warn: '\x1b[33m',
  bad: '\x1b[1;31m',
};

/** @param width of the screen: the selected line is marked over all of it */
export function painter(hasColour: boolean, width: number): Paint {
  const codes = hasColour ? COLOURS : WEIGHTS;
  return ({ spans, isSelected }) => {
    if (isSelected) return `${hasColour ? ON_ACCENT : REVERSE}${padded(plain({ spans }), width)}${RESET}`;
    return spans
      .map(({ text, tone }) => (codes[tone] === '' || text.trim() === '' ? text : `${codes[tone]}${text}${RESET}`))
      .join('');
  };
}

/** Without any codes, and without spaces at the end. */
export const plain: Paint = ({ spans }) =>
  spans
    .map(({ text }) => text)
    .join('')
    .trimEnd();
