/** The thread layouts that an end-to-end suite runs in, with two cores for the stack if the layout can have two. */

/** Arguments of `tspmd run` for each layout. CPUs that this machine lacks are shared, with a warning. */
export const MODES = {
  single: [],
  '1kb': ['--mode', '1kb', '--cores', '0-2'],
  '2kb': ['--mode', '2kb', '--cores', '0-3'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Mode = keyof typeof MODES;

/** For `describe.each` and `it.each`. */
export const ALL_MODES = Object.keys(MODES) as Mode[];
/** The layouts in which cores are threads. */
export const CORE_MODES = ['1kb', '2kb'] as const satisfies readonly Mode[];

/** Arguments for `cores` cores of the stack. */
export function withCores(mode: (typeof CORE_MODES)[number], cores: number): string[] {
  return ['--mode', mode, '--cores', `0-${cores - 1 + (mode === '2kb' ? 2 : 1)}`];
}

/** Cores of the stack with {@link MODES}. */
export const stackCores = (mode: Mode): number => (mode === 'single' ? 1 : 2);
