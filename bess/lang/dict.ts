/** Python's dict. */
import { raise } from './exceptions.js';
import { MAX_TEXT } from './limits.js';
import { PyFloat, PyList, PyTuple, type Value } from './values.js';

/** Keys stay in the order in which they came; 1, 1.0 and True are the same key, objects are keys by identity. */
export class PyDict {
  private readonly entries = new Map<string, { readonly key: Value; value: Value }>();

  get size(): number {
    return this.entries.size;
  }

  /** Raises TypeError, as all that take a key, for one that is a list or a dict. */
  get(key: Value): Value | undefined {
    return this.entries.get(hash(key))?.value;
  }

  set(key: Value, value: Value): void {
    const hashed = hash(key);
    const entry = this.entries.get(hashed);
    if (entry === undefined) this.entries.set(hashed, { key, value });
    else entry.value = value;
  }

  delete(key: Value): void {
    this.entries.delete(hash(key));
  }

  keys(): Value[] {
    return Array.from(this.entries.values(), (entry) => entry.key);
  }

  values(): Value[] {
    return Array.from(this.entries.values(), (entry) => entry.value);
  }

  items(): [Value, Value][] {
    return Array.from(this.entries.values(), (entry) => [entry.key, entry.value]);
  }
}

const identities = new WeakMap<object, number>();
let identityCount = 0;

/** A text that is the same for equal keys only. */
function hash(key: Value): string {
  if (typeof key === 'string') return `s${key}`;
  if (key === null) return 'none';
  if (typeof key === 'number' || typeof key === 'boolean') return `n${Number(key)}`;
  if (key instanceof PyFloat) return `n${key.value}`;
  if (key instanceof PyTuple) return hashTuple(key);
  if (key instanceof PyList) return raise('TypeError', "unhashable type: 'list'");
  if (key instanceof PyDict) return raise('TypeError', "unhashable type: 'dict'");
  let identity = identities.get(key);
  if (identity === undefined) {
    identity = ++identityCount;
    identities.set(key, identity);
  }
  return `o${identity}`;
}

function hashTuple(tuple: PyTuple): string {
  let text = `t${tuple.items.length}`;
  for (const item of tuple.items) {
    const part = hash(item);
    text += `,${part.length}:${part}`;
    if (text.length > MAX_TEXT) raise('MemoryError', 'this tuple is too large for a key');
  }
  return text;
}
