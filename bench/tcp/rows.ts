/** What `bench -- tcp` is made of: groups of rows, each in a folder of its own. */
import type { Plan } from '../common/benchmark.js';
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
