/** The rows of bulk transfer: `bulk/…`. */
import { missingForKernel, type TcpRows } from '../rows.js';
import { measureBulk } from './bulk.js';
import { BULK_ROWS } from './setup.js';

export const bulkRows: TcpRows = {
  names: BULK_ROWS.map(({ name }) => name),
  quick: ['bulk/tx', 'bulk/rx'],

  missing: missingForKernel,

  measure: (name, plan) => measureBulk(BULK_ROWS.find((row) => row.name === name)!, plan),
};
