/** The metrics that every process has, whatever it does. */
import type { RunningProcess } from '../control/process-info.js';
import type { Families, Labels } from './family.js';

/** The help of `tspmd_thread_asleep`. */
export const ASLEEP = 'whether the thread sleeps, because no packets come';

/** Adds the time that the loop of a thread was `busy` or `idle`. */
export function addLoopTime(families: Families, state: string, seconds: number, labels: Labels): void {
  const help = 'time in which the thread had something to do (busy), or slept or polled in vain (idle)';
  families.counter('tspmd_loop_seconds', help, seconds, { ...labels, state });
}

export function addProcess(families: Families, about: RunningProcess): void {
  const { pid, kind, name, mode, version, uptime, loopDelay = 0 } = about;
  const labels = { pid, command: kind, name, mode: mode ?? '', version };
  families.gauge('tspmd_info', 'which process this is; always 1', 1, labels);
  families.gauge('tspmd_uptime_seconds', 'time since the process has started', uptime);
  const help = 'time that the event loop of the main thread took to see this request';
  families.gauge('tspmd_event_loop_delay_seconds', help, loopDelay);
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  families.gauge('tspmd_resident_memory_bytes', 'memory of the process; hugepages are not counted', rss);
  families.counter('tspmd_cpu_seconds', 'CPU time of all threads of the process', (user + system) / 1e6);
}
