/** Collects all garbage, so that what is resident is in use. The process runs with `--expose-gc`. */
export function collectGarbage(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('start this process with --expose-gc');
  gc();
  gc();
}
