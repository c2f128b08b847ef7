/** Requests per second with each thread on a CPU of its own, for as many stack cores as this machine has CPUs for. */
import type { Plan } from '../../common/benchmark.js';
import { allowedCpus } from '../../common/cpus.js';
import { alternate, timing } from '../../common/windows.js';
import { type Role, SENT, WRONG } from '../../pipeline/thread-control.js';
import { Threads } from '../../pipeline/threads.js';
import { figure } from '../../report/report.js';
import { createClients } from './client.js';
import type { Mode } from './layouts.js';

const UNIT = 'requests/s';
const PROGRAM = new URL('./threads.worker.js', import.meta.url);
/** Connections per core: fewer than any queue has room for, so that nothing is dropped. */
const CONNECTIONS = 256;
/** V8 compiles a TCP/IP stack in this time, in ms. */
const WARM_UP = 3000;
const DRIVERS: Readonly<Record<Mode, readonly Role[]>> = { '1kb': ['rxtx'], '2kb': ['rx', 'tx'] };

/**
 * Measures requests per second by the number of stack cores.
 * @returns requests per second by cores, or why there are none
 */
export async function measureThreads(mode: Mode, plan: Plan): Promise<Record<number, number> | string> {
  const drivers = DRIVERS[mode];
  const most = allowedCpus().length - drivers.length;
  if (most < 1) return `not measured: needs ${drivers.length + 1} CPUs`;
  const { windows, window } = timing(plan.isQuick);
  const cores = Array.from({ length: most }, (_, i) => i + 1);
  const opened: Threads[] = [];
  try {
    for (const count of cores) {
      const roles: Role[] = [...drivers, ...Array.from({ length: count }, (): Role => 'cores')];
      const threads = new Threads(roles, count, PROGRAM, { clients: createClients(CONNECTIONS * count) });
      opened.push(threads);
      await threads.warmUp(WARM_UP, plan.stop);
    }
    const rates = await alternate(opened, windows, plan, (threads) => threads.measure(window * 1000));
    const fault = opened.map(({ counters }) => faultOf(counters)).find((each) => each !== '');
    return fault ?? Object.fromEntries(cores.map((count, i) => [count, figure(rates[i], UNIT).median]));
  } finally {
    await Promise.all(opened.map((threads) => threads.close()));
  }
}

/** What went wrong; empty: nothing. Segments are sent again when a thread had no CPU for 200 ms. */
function faultOf(counters: Float64Array): string {
  const resent = counters.subarray(0, SENT).reduce((sum, count) => sum + count, 0);
  const wrong = counters[WRONG];
  return wrong + resent === 0 ? '' : `not valid: ${wrong} segments were wrong, and ${resent} were sent again`;
}
