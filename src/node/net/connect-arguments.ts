/** The arguments of `net.Socket.connect` and `net.connect`, which have several forms. */

export interface ConnectArguments {
  readonly options: Record<string, unknown>;
  readonly listener: (() => void) | undefined;
}

/** Returns the options and the listener of a call: `(options)`, `(port, host)`, `(path)`, each with a listener behind. */
export function connectArguments(args: readonly unknown[]): ConnectArguments {
  const last = args.at(-1);
  const listener = typeof last === 'function' ? (last as () => void) : undefined;
  const [first, second] = args;
  // Node itself passes the arguments as an array.
  if (Array.isArray(first)) return connectArguments(first);
  if (typeof first === 'object' && first !== null) return { options: { ...first }, listener };
  if (typeof first === 'string' && Number.isNaN(Number(first))) return { options: { path: first }, listener };
  const host = typeof second === 'string' ? { host: second } : {};
  return { options: { port: first, ...host }, listener };
}
