/**
 * How much V8 inlines into one function. The command raises V8's limit, because a segment passes through some hundred
 * small functions: TCP is an eighth faster on Node 20 to 26 (docs/v8.md, "Inlining budget"). A program that uses the
 * package as a library gives Node the same flag on its command line.
 */
import { setFlagsFromString } from 'node:v8';

/** Bytes of bytecode that V8 inlines into one function at most. Its default is 920. */
export const INLINING_FLAG = '--max-inlined-bytecode-size-cumulative=3000';

/** Raises the limit, in all threads, for what V8 compiles from now on. */
export function inlineMore(): void {
  setFlagsFromString(INLINING_FLAG);
}
