/**
 * What tspmd needs of an AbortSignal. Every AbortSignal is one; the public types name this interface instead, so that
 * they need neither the DOM's types nor Node's.
 */
export interface StopSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
