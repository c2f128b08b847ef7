/** The rows with requests and responses of 64 bytes: `rr`, `crr` and `latency`. */
import { missingForKernel, type TcpRows } from '../rows.js';
import { LATENCY_ROW, measureLatency } from './latency.js';
import { measureRate, RATE_ROWS } from './rates.js';

export const requestRows: TcpRows = {
  names: [...RATE_ROWS.map(({ name }) => name), LATENCY_ROW],
  quick: ['rr/64/128', 'crr/64'],

  missing: missingForKernel,

  measure: (name, plan) => {
    const rate = RATE_ROWS.find((row) => row.name === name);
    return rate === undefined ? measureLatency(plan) : measureRate(rate, plan);
  },
};
