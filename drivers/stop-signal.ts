/**
 * What tspmd needs of an AbortSignal. Every AbortSignal is one; the public types name this interface instead, so that
 * they need neither the DOM's types nor Node's.
 */
export interface StopSignal {
  readonly aborted: boolean;
  /** Calls `listener` when the signal aborts. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  /** Ends what {@link addEventListener} began. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Resolves when the signal aborts; at once when it has aborted already. */
export function whenAborted(signal: StopSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
