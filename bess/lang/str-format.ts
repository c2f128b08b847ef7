/** `'{} {0} {name.attr[key]!r:>10}'.format(…)` (library reference, "Format String Syntax"). */
import { repr, str } from './describe.js';
import { raise } from './exceptions.js';
import { formatValue } from './format-spec.js';
import type { CallArguments } from './host.js';
import { getItem } from './iteration.js';
import { checkText } from './limits.js';
import type { Value } from './values.js';

type AttributeGetter = (value: Value, name: string) => Value;

/** The string method `format`; `getAttribute` serves `{0.name}`. */
export function formatMethod(format: string, args: CallArguments, getAttribute: AttributeGetter): string {
  return new FieldFormatter(args, getAttribute).expand(format, 0);
}

class FieldFormatter {
  /** The next of the fields without a name. */
  private next = 0;

  constructor(
    private readonly args: CallArguments,
    private readonly getAttribute: AttributeGetter,
  ) {}

  expand(format: string, depth: number): string {
    let out = '';
    let at = 0;
    while (at < format.length) {
      const brace = format.slice(at).search(/[{}]/);
      if (brace < 0) return out + format.slice(at);
      out += format.slice(at, at + brace);
      at += brace;
      if (format[at + 1] === format[at]) {
        out += format[at];
        at += 2;
        continue;
      }
      if (format[at] === '}') raise('ValueError', "a single '}' in the format string");
      const end = closingBrace(format, at);
      out = checkText(out + this.field(format.slice(at + 1, end), depth));
      at = end + 1;
    }
    return out;
  }

  private field(field: string, depth: number): string {
    if (depth > 1) raise('ValueError', 'the fields of the format string are nested too deeply');
    const [, path = '', conversion, spec = ''] = /^([^!:]*)(?:!([^:]*))?(?::([\s\S]*))?$/.exec(field) ?? [];
    const value = this.valueOf(path);
    const formatSpec = this.expand(spec, depth + 1);
    switch (conversion) {
      case undefined:
        return formatValue(value, formatSpec);
      case 'r':
        return formatValue(repr(value), formatSpec);
      case 's':
        return formatValue(str(value), formatSpec);
      default:
        return raise('ValueError', `'!${conversion}' is no conversion of a format string`);
    }
  }

  /** `0`, `name`, `0.attribute[item]`. */
  private valueOf(path: string): Value {
    const match = /^([^.[]*)((?:\.\w+|\[[^\]]+\])*)$/.exec(path);
    if (match === null) return raise('ValueError', `'{${path}}' is no field of a format string`);
    const [, name = '', steps = ''] = match;
    let value = this.argument(name);
    for (const step of steps.match(/\.\w+|\[[^\]]+\]/g) ?? []) {
      const key = step.startsWith('.') ? step.slice(1) : step.slice(1, -1);
      if (step.startsWith('.')) value = this.getAttribute(value, key);
      else value = getItem(value, /^\d+$/.test(key) ? Number(key) : key);
    }
    return value;
  }

  private argument(name: string): Value {
    const { positional, keyword } = this.args;
    const isPlace = name === '' || /^\d+$/.test(name);
    const value = isPlace ? positional[name === '' ? this.next++ : Number(name)] : keyword.get(name);
    if (value !== undefined) return value;
    return isPlace ? raise('IndexError', 'not enough values for the format string') : raise('KeyError', repr(name));
  }
}

/** The brace that closes the one at `open`. */
function closingBrace(format: string, open: number): number {
  let depth = 0;
  for (let i = open; i < format.length; i++) {
    if (format[i] === '{') depth++;
    if (format[i] === '}' && --depth === 0) return i;
  }
  return raise('ValueError', "a '{' of the format string is never closed");
}
