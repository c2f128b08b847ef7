/** The row of idle connections. */
import { missingForKernel, type TcpRows } from '../rows.js';
import { measureIdle } from './idle.js';
import { IDLE_ROW } from './setup.js';

export const idleRows: TcpRows = {
  names: [IDLE_ROW],
  quick: [IDLE_ROW],

  missing: missingForKernel,

  measure: (_, plan) => measureIdle(plan),
};
