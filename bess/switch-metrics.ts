/**
 * The metrics of a switch (`tspmd switch --metrics`), by the conventions of Prometheus. The thread of the observer loads
 * this module by its name.
 */
import type { ProcessStats } from '../observe/control/process-info.js';
import { Families, type Family } from '../observe/metrics/family.js';
import { ASLEEP, addLoopTime, addProcess } from '../observe/metrics/process-metrics.js';
import { SWITCH_REASONS } from '../observe/page/browser/model/switch-drops.js';
import type { ModuleStats, PortStats, SwitchStats } from './stats.js';

/** Makes the metrics of a switch from its counters. */
export function familiesOf({ process, switch: value }: ProcessStats): Family[] {
  const families = new Families();
  addProcess(families, process);
  const { summary, ports, modules, worker } = value as SwitchStats;
  const thread = { thread: 'switch' };
  families.gauge('tspmd_thread_asleep', ASLEEP, worker.asleep ? 1 : 0, thread);
  for (const state of ['busy', 'idle'] as const) addLoopTime(families, state, worker[state], thread);
  const total = (what: string, help: string, count: number): void =>
    families.counter(`tspmd_switch_${what}_packets`, help, count);
  total('received', 'packets taken from ports', summary.received);
  total('generated', 'packets that Source modules have made', summary.generated);
  total('copied', 'copies that Replicate modules have made', summary.copied);
  total('cut', 'packets that modules have cut out of larger ones to give them headers', summary.cut);
  total('forwarded', 'packets delivered to peers; each copy counts', summary.forwarded);
  for (const [name, reason] of Object.entries(SWITCH_REASONS)) {
    const count = summary.dropped[name as keyof typeof SWITCH_REASONS];
    families.counter('tspmd_switch_dropped_packets', 'packets that the switch dropped, by reason', count, { reason });
  }
  for (const [name, port] of Object.entries(ports)) addPort(families, name, port);
  for (const module of modules) addGates(families, module);
  return families.all;
}

function addPort(families: Families, port: string, { up, inc, out, device }: PortStats): void {
  families.gauge('tspmd_switch_port_up', 'whether a peer is connected and its queues work', up ? 1 : 0, { port });
  for (const [direction, counts] of [['in', inc] as const, ['out', out] as const]) {
    const labels = { port, direction };
    const from = 'from the peer into the switch (in), and from the switch to the peer (out)';
    families.counter('tspmd_switch_port_packets', `packets ${from}`, counts.packets, labels);
    families.counter('tspmd_switch_port_bytes', `bytes ${from}`, counts.bytes, labels);
    families.counter(
      'tspmd_switch_port_dropped_packets',
      'packets that were dropped at the port',
      counts.dropped,
      labels,
    );
  }
  for (const [event, count] of Object.entries(device))
    families.counter('tspmd_switch_device_events', "what the port's device counts", count, { port, event });
}

function addGates(
  families: Families,
  { name: module, class: className, gates, deadends, counters }: ModuleStats,
): void {
  for (const { gate, to, packets, bytes } of gates) {
    const labels = { module, class: className, gate, to };
    families.counter('tspmd_switch_gate_packets', 'packets that left a module by the gate', packets, labels);
    families.counter('tspmd_switch_gate_bytes', 'bytes that left a module by the gate', bytes, labels);
  }
  const help = 'packets that left a module by a gate without a connection';
  families.counter('tspmd_switch_deadend_packets', help, deadends, { module, class: className });
  for (const [event, count] of Object.entries(counters)) {
    families.counter('tspmd_switch_module_events', 'what a module counts', count, { module, class: className, event });
  }
}
