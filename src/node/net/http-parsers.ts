/**
 * http's parser above a handle of ours. A server's parser *consumes* the handle of its connection: what was received goes
 * to it, and not through the socket. Of a handle of ours it gets the bytes by a call, which is shorter than the way
 * through Node's C++ streams.
 */

/** What a parser returns for bytes: how many it has parsed, or the error. */
type Parsed = number | Error | undefined;

/** An `HTTPParser`, as Node's http uses it. */
interface Parser {
  consume(handle: object): void;
  unconsume(): void;
  execute(bytes: Uint8Array): Parsed;
  /** What the parser was given last, while its server looks at the result. */
  getCurrentBuffer(): Uint8Array;
  readonly incoming: { readonly upgrade?: unknown } | null;
  /** By their numbers, what the server is told by. */
  readonly [hook: number]: unknown;
}

/** A handle whose bytes a parser may get by calls. */
interface Consumable {
  /** The parser that consumes it. */
  parser: ServerParser | null;
}

const handles = new WeakSet<object>();
const consuming = new WeakMap<object, ServerParser>();
const hooked = new WeakSet<object>();

/** A parser that consumes a handle of ours. */
export class ServerParser {
  /** What it was given last: null unless its server looks at the result. */
  current: Uint8Array | null = null;

  /** @param onExecute number of the hook for the result */
  constructor(
    private readonly parser: Parser,
    readonly handle: Consumable,
    private readonly onExecute: number,
  ) {}

  /**
   * Parses what was received. The parser keeps nothing of it.
   * @param inContext calls what may run code of the program
   * @throws what the program throws
   */
  execute(bytes: Uint8Array, inContext: (act: () => void) => void): void {
    const { parser } = this;
    const result = parser.execute(bytes);
    const hook = parser[this.onExecute] as ((result: Parsed) => void) | undefined;
    if (result === undefined || typeof hook !== 'function') return;
    this.current = bytes;
    try {
      if (typeof result === 'number' && !parser.incoming?.upgrade) hook(result);
      else inContext(() => hook(result));
    } finally {
      this.current = null;
    }
  }
}

/** Lets the parser of an http server consume a handle by calls. @param parser what may be one: Node does not show the class */
export function allowCalls(parser: unknown, handle: Consumable): void {
  if (typeof parser !== 'object' || parser === null) return;
  const prototype = Object.getPrototypeOf(parser) as Parser & {
    readonly constructor: { readonly kOnExecute?: unknown };
  };
  const { consume, unconsume, execute, getCurrentBuffer } = prototype;
  const { kOnExecute } = prototype.constructor;
  const isParser = [consume, unconsume, execute, getCurrentBuffer].every((method) => typeof method === 'function');
  if (!isParser || typeof kOnExecute !== 'number') return;
  handles.add(handle);
  if (hooked.has(prototype)) return;
  hooked.add(prototype);

  prototype.consume = function (consumed) {
    if (!handles.has(consumed)) {
      consume.call(this, consumed);
      return;
    }
    const own = new ServerParser(this, consumed as unknown as Consumable, kOnExecute);
    own.handle.parser = own;
    consuming.set(this, own);
  };
  prototype.unconsume = function () {
    const own = consuming.get(this);
    if (own === undefined) {
      unconsume.call(this);
      return;
    }
    consuming.delete(this);
    own.handle.parser = null;
  };
  prototype.getCurrentBuffer = function () {
    const current = consuming.get(this)?.current ?? null;
    return current === null ? getCurrentBuffer.call(this) : Buffer.from(current);
  };
}
