/** The methods of `str`, but for `format`. */
import { bindAll, bindArguments } from './arguments.js';
import { typeName } from './describe.js';
import { raise } from './exceptions.js';
import type { CallArguments } from './host.js';
import { collect, lengthOf } from './iteration.js';
import { checkText, MAX_TEXT } from './limits.js';
import { requireInt, requireText } from './operators.js';
import { PyList, PyTuple, type Value } from './values.js';

type Method = (text: string, args: CallArguments, name: string) => Value;

/** By name: each takes the string itself first. */
export const STRING_METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['count', (text, args, name) => countOf(text, requireText(one(name, args), 'what is counted'))],
  ['endswith', (text, args, name) => endings(one(name, args), name).some((end) => text.endsWith(end))],
  ['find', (text, args, name) => find(text, requireText(one(name, args), 'what is found'))],
  ['index', (text, args, name) => indexOf(text, requireText(one(name, args), 'what is found'))],
  ['isdigit', (text, args, name) => none(name, args) && /^\d+$/.test(text)],
  ['join', (text, args, name) => join(text, one(name, args))],
  ['ljust', (text, args, name) => justify(text, args, name, (pad) => text + pad)],
  ['lower', (text, args, name) => none(name, args) && text.toLowerCase()],
  ['lstrip', (text, args, name) => strip(text, args, name, true, false)],
  ['replace', (text, args, name) => replace(text, args, name)],
  ['rjust', (text, args, name) => justify(text, args, name, (pad) => pad + text)],
  ['rstrip', (text, args, name) => strip(text, args, name, false, true)],
  ['split', (text, args, name) => split(text, args, name)],
  ['startswith', (text, args, name) => endings(one(name, args), name).some((start) => text.startsWith(start))],
  ['strip', (text, args, name) => strip(text, args, name, true, true)],
  ['upper', (text, args, name) => none(name, args) && text.toUpperCase()],
  ['zfill', (text, args, name) => zeroFill(text, requireInt(one(name, args), 'a width'))],
]);

function none(name: string, args: CallArguments): true {
  bindAll(name, [], args);
  return true;
}

function one(name: string, args: CallArguments): Value {
  return bindAll(name, ['value'], args)[0] as Value;
}

function endings(value: Value, name: string): string[] {
  const values = value instanceof PyTuple ? value.items : [value];
  return values.map((item) => requireText(item, `the argument of ${name}()`));
}

function find(text: string, part: string): number {
  const at = text.indexOf(part);
  return at < 0 ? at : lengthOf(text.slice(0, at));
}

function indexOf(text: string, part: string): number {
  const index = find(text, part);
  return index < 0 ? raise('ValueError', 'the part is not in the string') : index;
}

function countOf(text: string, part: string): number {
  return part === '' ? lengthOf(text) + 1 : text.split(part).length - 1;
}

function join(separator: string, values: Value): string {
  const texts = collect(values).map((value, i) =>
    typeof value === 'string'
      ? value
      : raise('TypeError', `join() needs strings, but item ${i} is a '${typeName(value)}'`),
  );
  const length = texts.reduce((sum, text) => sum + text.length + separator.length, 0);
  if (length > MAX_TEXT + separator.length) raise('MemoryError', `a string may have ${MAX_TEXT} characters at most`);
  return texts.join(separator);
}

function replace(text: string, args: CallArguments, name: string): string {
  const [before = null, after = null, count = -1] = bindArguments(name, ['old', 'new', 'count'], 2, args);
  const from = requireText(before, 'what is replaced');
  const to = requireText(after, 'the replacement');
  const limit = requireInt(count, 'the count');
  const parts = from === '' ? ['', ...text, ''] : text.split(from);
  const times = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1);
  if (text.length + times * to.length > 2 * MAX_TEXT) raise('MemoryError', `a string may have ${MAX_TEXT} characters`);
  return checkText(
    parts.slice(0, times + 1).join(to) +
      parts
        .slice(times + 1)
        .map((part) => from + part)
        .join(''),
  );
}

function split(text: string, args: CallArguments, name: string): PyList {
  const [separator = null, maximum = -1] = bindArguments(name, ['sep', 'maxsplit'], 0, args);
  const limit = requireInt(maximum, 'maxsplit');
  const most = limit < 0 ? Number.POSITIVE_INFINITY : limit;
  if (separator === null) return new PyList(splitAtBlanks(text, most));
  const by = requireText(separator, 'the separator');
  if (by === '') raise('ValueError', 'the separator of split() is empty');
  const parts = text.split(by);
  if (parts.length <= most + 1) return new PyList(parts);
  return new PyList([...parts.slice(0, most), parts.slice(most).join(by)]);
}

function splitAtBlanks(text: string, most: number): string[] {
  const parts: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const end = parts.length < most ? rest.search(/\s/) : -1;
    if (end < 0) {
      parts.push(rest);
      break;
    }
    parts.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return parts;
}

function strip(text: string, args: CallArguments, name: string, left: boolean, right: boolean): string {
  const [characters = null] = bindArguments(name, ['chars'], 0, args);
  const unwanted = characters === null ? null : new Set(requireText(characters, 'what is stripped'));
  const all = Array.from(text);
  const drop = (character: string | undefined): boolean =>
    character !== undefined && (unwanted === null ? character.trim() === '' : unwanted.has(character));
  let start = 0;
  let end = all.length;
  while (left && start < end && drop(all[start])) start++;
  while (right && end > start && drop(all[end - 1])) end--;
  return all.slice(start, end).join('');
}

function justify(text: string, args: CallArguments, name: string, place: (pad: string) => string): string {
  const [width = null, fill = ' '] = bindArguments(name, ['width', 'fillchar'], 1, args);
  const character = requireText(fill, 'the fill character');
  if (lengthOf(character) !== 1) raise('TypeError', 'the fill character must be one character');
  return place(padding(text, requireInt(width, 'a width'), character));
}

function zeroFill(text: string, width: number): string {
  const sign = /^[-+]/.exec(text)?.[0] ?? '';
  return sign + padding(text, width, '0') + text.slice(sign.length);
}

function padding(text: string, width: number, fill: string): string {
  if (width > MAX_TEXT) raise('MemoryError', `a string may have ${MAX_TEXT} characters at most`);
  return fill.repeat(Math.max(0, width - lengthOf(text)));
}
