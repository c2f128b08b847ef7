/**
 * The metrics of a port (`--metrics`), by the conventions of Prometheus: what `tspmd stats` shows, with labels for the
 * thread, the direction and the reason. The thread of the observer loads this module by its name.
 */
import type { ProcessStats } from '../../../observe/control/process-info.js';
import { Families, type Family, type Labels } from '../../../observe/metrics/family.js';
import { ASLEEP, addLoopTime, addProcess } from '../../../observe/metrics/process-metrics.js';
import { meaningOf } from '../../counters.js';
import type { CoreStatus, ThreadStatus } from '../../port.js';
import type { PortSnapshot } from './port-snapshot.js';
import { stackMeaningOf } from './stack-meaning.js';
import { addTcpFigures, TOTALS_BY_STATE } from './tcp-figures.js';

const SECOND = 1000;

/** Totals of a stack that say how many there are now; all others only grow. */
const STACK_GAUGES: Readonly<Record<string, string>> = {
  tcp_timers: 'timers of TCP that are armed',
  tcp_memory: 'bytes of the send and receive buffers of TCP',
  udp_sockets: 'UDP sockets',
};
/** What these end on in Prometheus, which wants the unit at the end. */
const GAUGE_NAMES: Readonly<Record<string, string>> = { tcp_memory: 'tcp_memory_bytes' };

/** Makes the metrics of a port from its counters. */
export function familiesOf({ process, port }: ProcessStats): Family[] {
  const families = new Families();
  addProcess(families, process);
  const { device, cores, workers, counters, totals, tcp, rssEntries } = port as PortSnapshot;
  for (const thread of [...cores, ...workers]) addThread(families, thread);
  for (const core of cores) addRings(families, core);
  for (const [core, entries] of rssEntries.entries())
    families.gauge('tspmd_rss_entries', 'entries of the indirection table that lead to the core, of 128', entries, {
      core,
    });
  for (const [name, value] of Object.entries(counters))
    if (meaningOf(name) === undefined) addDeviceCounter(families, name, value, device);
  for (const [core, own] of totals.entries())
    for (const [name, value] of Object.entries(own ?? {}))
      if (tcp[core] === null || !TOTALS_BY_STATE.includes(name)) addStackTotal(families, name, value, { core });
  for (const [core, figures] of tcp.entries()) if (figures !== null) addTcpFigures(families, figures, { core });
  return families.all;
}

function addThread(families: Families, { title, isAlive, isAsleep, counters }: ThreadStatus): void {
  const labels = { thread: title };
  families.gauge('tspmd_thread_alive', 'whether the thread runs', isAlive ? 1 : 0, labels);
  families.gauge('tspmd_thread_asleep', ASLEEP, isAsleep ? 1 : 0, labels);
  for (const [name, value] of Object.entries(counters)) addLayerCounter(families, name, value, labels);
}

function addRings(families: Families, { index, rings }: CoreStatus): void {
  for (const [ring, { count, capacity }] of Object.entries(rings ?? {})) {
    const labels = { core: index, ring };
    families.gauge(
      'tspmd_ring_packets',
      'packets that wait in the ring between the core and the device',
      count,
      labels,
    );
    families.gauge('tspmd_ring_capacity_packets', 'packets that the ring can hold', capacity, labels);
  }
}

function addLayerCounter(families: Families, name: string, value: number, labels: Labels): void {
  const meaning = meaningOf(name);
  if (meaning === undefined) return;
  const [, direction, fate, reason] = /^(rx|tx)_(drop|lost)_(.+)$/.exec(name) ?? [];
  const [, protocol, event] = /^(arp|dhcp)_(.+)$/.exec(name) ?? [];
  const [, state] = /^loop_(busy|idle)_ms$/.exec(name) ?? [];
  if (fate === 'drop') {
    const help = 'packets that the layer dropped, by reason';
    families.counter('tspmd_dropped_packets', help, value, { ...labels, direction, reason });
  } else if (fate === 'lost') {
    const help = 'packets that were lost because a core or the link had gone, by reason';
    families.counter('tspmd_lost_packets', help, value, { ...labels, direction, reason });
  } else if (protocol !== undefined) {
    const help = protocol === 'arp' ? 'what happened in ARP' : 'what the DHCP client did';
    families.counter(`tspmd_${protocol}_events`, help, value, { ...labels, event });
  } else if (state !== undefined) {
    addLoopTime(families, state, value / SECOND, labels);
  } else if (name === 'held_by_stack') {
    families.gauge('tspmd_held_buffers', meaning, value, labels);
  } else {
    families.counter(`tspmd_${name}`, meaning, value, labels);
  }
}

function addDeviceCounter(families: Families, name: string, value: number, device: string): void {
  const [, direction, what] = /^(rx|tx)_(.+)$/.exec(name) ?? [];
  const [, reason] = /^(?:dropped|lost)_(.+)$/.exec(what ?? '') ?? [];
  if (direction === undefined) {
    families.counter('tspmd_device_events', 'what happened to the device', value, { device, event: name });
  } else if (reason !== undefined) {
    const help = 'packets that the driver dropped or lost, by reason';
    families.counter('tspmd_device_dropped_packets', help, value, { device, direction, reason });
  } else if (what === 'packets' || what === 'bytes') {
    families.counter(`tspmd_device_${what}`, `${what} that the device has moved`, value, { device, direction });
  } else {
    const help = 'doorbells that were rung for the device';
    families.counter(`tspmd_device_${what}`, help, value, { device, direction });
  }
}

function addStackTotal(families: Families, name: string, value: number, labels: Labels): void {
  const gauge = STACK_GAUGES[name];
  const meaning = stackMeaningOf(name);
  if (gauge !== undefined) families.gauge(`tspmd_${GAUGE_NAMES[name] ?? name}`, gauge, value, labels);
  else if (meaning !== undefined) families.counter(`tspmd_${name}`, meaning, value, labels);
  // What an app counts may also fall.
  else families.gauge('tspmd_app', 'what the app reports, by name', value, { ...labels, name });
}
