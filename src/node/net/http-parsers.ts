/**
 * http's parser above a handle of ours. A server's parser *consumes* the handle of its connection: what was received goes
 * to it, and not through the socket. Of a handle of ours it gets the bytes by a call, which is shorter than the way
 * through Node's C++ streams.
 */
import { loadBinding } from './node-internals.js';

/** What a parser returns for bytes: how many it has parsed, or the error. */
type Parsed = number | Error | undefined;

/** An `HTTPParser`, as Node's http uses it. */
export interface Parser {
  consume(handle: object): void;
  unconsume(): void;
  execute(bytes: Uint8Array): Parsed;
  /** What the parser was given last, while its server looks at the result. */
  getCurrentBuffer(): Uint8Array;
  readonly incoming: { readonly upgrade?: unknown } | null;
}

/** A handle whose bytes a parser may get by a call. */
export interface Consumable {
  parser: ServerParser | null;
}

type ExecuteHook = (result: Parsed) => void;
type HooksOfParser = Record<number, unknown>;

const { HTTPParser } = loadBinding('http_parser') as {
  HTTPParser?: { readonly prototype: Parser; readonly kOnExecute: number };
};
/** The parsers that consume handles of ours. */
const consuming = new WeakMap<Parser, ServerParser>();

/** A parser that consumes a handle of ours. */
export class ServerParser {
  /** What it was given last: null unless its server looks at the result. */
  current: Uint8Array | null = null;

  constructor(
    private readonly parser: Parser,
    readonly handle: Consumable,
    private readonly onExecute: number,
  ) {}

  /**
   * Parses what was received. The parser keeps nothing of it.
   * @param inContext calls what may run code of the program
   */
  execute(bytes: Uint8Array, inContext: (act: () => void) => void): void {
    const { parser } = this;
    const result = parser.execute(bytes);
    const hook = (parser as unknown as HooksOfParser)[this.onExecute];
    // A parser that threw has returned nothing.
    if (result === undefined || typeof hook !== 'function') return;
    this.current = bytes;
    if (typeof result === 'number' && !parser.incoming?.upgrade) (hook as ExecuteHook)(result);
    else inContext(() => (hook as ExecuteHook)(result));
    this.current = null;
  }
}

/** Lets http's parsers consume handles of ours by calls. @param isOurs tells whether a handle is one */
export function hookParsers(isOurs: (handle: object) => handle is Consumable): void {
  if (HTTPParser === undefined) return;
  const { prototype, kOnExecute } = HTTPParser;
  const { consume, unconsume, getCurrentBuffer } = prototype;
  prototype.consume = function (handle) {
    if (!isOurs(handle)) {
      consume.call(this, handle);
      return;
    }
    handle.parser = new ServerParser(this, handle, kOnExecute);
    consuming.set(this, handle.parser);
  };
  prototype.unconsume = function () {
    const parser = consuming.get(this);
    if (parser === undefined) {
      unconsume.call(this);
      return;
    }
    consuming.delete(this);
    parser.handle.parser = null;
  };
  prototype.getCurrentBuffer = function () {
    const current = consuming.get(this)?.current ?? null;
    return current === null ? getCurrentBuffer.call(this) : Buffer.from(current);
  };
}
