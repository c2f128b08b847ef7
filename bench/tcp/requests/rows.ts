/** The rows with requests and responses of 64 bytes: `rr`, `crr` and `latency`. */
import { isInstalled } from '../../../scripts/programs.js';
import { missingForTap } from '../../common/kernel-side.js';
import type { TcpRows } from '../rows.js';
import { LATENCY_ROW, measureLatency } from './latency.js';
import { measureRate, RATE_ROWS } from './rates.js';

/** What starts a server of the kernel's side on its CPU, with its limits. */
const PROGRAMS = ['taskset', 'prlimit'];

export const requestRows: TcpRows = {
  names: [...RATE_ROWS.map(({ name }) => name), LATENCY_ROW],
  quick: ['rr/64/128', 'crr/64'],

  missing: () => [...missingForTap(), ...PROGRAMS.filter((program) => !isInstalled(program))],

  measure: (name, plan) => {
    const rate = RATE_ROWS.find((row) => row.name === name);
    return rate === undefined ? measureLatency(plan) : measureRate(rate, plan);
  },
};
