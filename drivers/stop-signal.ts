/**
 * The part of an AbortSignal that tspmd needs. Every AbortSignal has it. The public types name this interface instead,
 * so that they depend neither on the DOM's types nor on Node's.
 */
export interface StopSignal {
  readonly aborted: boolean;
  /** Calls `listener` when the signal aborts. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  /** Ends what {@link addEventListener} began. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Resolves when the signal aborts; at once when it has aborted already; never without a signal. */
export function whenAborted(signal: StopSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve();
    else signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}
