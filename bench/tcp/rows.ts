/** What `bench -- tcp` is made of: groups of rows, each in a folder of its own. */
import { isInstalled } from '../../scripts/programs.js';
import type { Plan } from '../common/benchmark.js';
import { missingForTap } from '../common/kernel-side.js';
import type { Row } from '../report/report.js';

export interface TcpRows {
  readonly names: readonly string[];
  /** Names that `all --quick` measures. */
  readonly quick: readonly string[];
  /** What this machine lacks for a row, each as the end of "needs …". */
  missing(name: string): string[];
  /** Measures a row. Leaves nothing behind. */
  measure(name: string, plan: Plan): Promise<Row>;
}

/** What starts a server of the kernel's side on its CPU, with its limits. */
const PROGRAMS = ['taskset', 'prlimit'];

/** What this machine lacks for the kernel's side, each as the end of "needs …". */
export function missingForKernel(): string[] {
  return [...missingForTap(), ...PROGRAMS.filter((program) => !isInstalled(program))];
}
