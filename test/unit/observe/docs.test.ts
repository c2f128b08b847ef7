/** docs/observe.md explains every reason for which packets are dropped, and every metric that has no help of its own there. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { familiesOf as switchFamilies } from '../../../bess/switch-metrics.js';
import { EVENTS } from '../../../drivers/log/events.js';
import { NET_COUNTERS } from '../../../drivers/net-device.js';
import { viewerFamilies } from '../../../observe/page/page-metrics.js';
import { familiesOf as portFamilies } from '../../../src/cli/observe/port-metrics.js';
import { createL2Counters, L2_COUNTERS } from '../../../src/counters.js';
import { TCP_MEANING } from '../../../src/tcpip/tcp/counters.js';

const page = readFileSync(new URL('../../../docs/observe.md', import.meta.url), 'utf8');
/** The words in code style. */
const words = new Set(Array.from(page.replace(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g), ([, word]) => word!));

const about = {
  ...({ pid: 1, kind: 'run', name: 'x', state: 'ready', devices: [], address: null, mode: null } as const),
  ...{ version: '0', uptime: 1 },
};
const device = Object.fromEntries(NET_COUNTERS.map((name) => [name, 1]));
const thread = { title: 'core 0', isAlive: true, isAsleep: false, counters: createL2Counters().snapshot() };
const rings = { rx_queue: { count: 1, capacity: 2 } };
const port = {
  ...{
    device: 'd',
    mac: '',
    address: '',
    gateway: null,
    rssEntries: [128],
    workers: [],
    totals: [{ tcp_memory: 1, tcp_connections: 1, x: 2 }],
    tcp: [{ states: { ESTABLISHED: 1 }, rtt: { counts: new Array<number>(32).fill(1), sum: 1, count: 32 } }],
  },
  ...{ cores: [{ ...thread, index: 0, rings }], counters: { ...thread.counters, ...device } },
};
const module = {
  name: 'm',
  class: 'C',
  desc: '',
  deadends: 1,
  counters: { cut: 1 },
  gates: [{ gate: 0, to: 'x', inputGate: 0, packets: 1, bytes: 1 }],
};
const counts = { packets: 1, bytes: 1, dropped: 1 };
const dropped = {
  total: 1,
  full: 1,
  noPeer: 1,
  interfaceDown: 1,
  unknownDestination: 1,
  deadend: 1,
  sink: 1,
  tunnel: 1,
};
const summary = { received: 1, generated: 1, copied: 1, cut: 1, forwarded: 1, replicated: 1, dropped };
const worker = { busy: 1, idle: 1, asleep: false };
const ports = { vm1: { description: '', up: true, problem: null, inc: counts, out: counts, device: { x: 1 } } };
const families = [
  ...portFamilies({ process: about, port }),
  ...viewerFamilies({ watching: 1, refused: 1, dropped: 1 }),
  ...switchFamilies({ process: about, switch: { uptime: 1, worker, summary, ports, modules: [module] } }),
];

describe('docs/observe.md', () => {
  it('has every metric', () => {
    const names = families.map(({ name, type }) => (type === 'counter' ? `${name}_total` : name));
    expect(names.filter((name) => !words.has(name))).toEqual([]);
    expect(new Set(names).size).toBeGreaterThan(30);
  });

  it('has every reason of a drop', () => {
    const reasons = families.flatMap(({ samples }) =>
      samples.flatMap(({ labels: { reason } }) => (reason === undefined ? [] : [String(reason)])),
    );
    expect(reasons.filter((reason) => !words.has(reason))).toEqual([]);
    expect(new Set(reasons).size).toBeGreaterThan(35);
  });

  it('has every event of the log with its level and its fields, and no other', () => {
    const section = page.slice(page.indexOf('\n## The log'));
    const rows = Array.from(section.matchAll(/^\| `([a-z-]+)` \| (\w+) \| (.*?) \| .* \|$/gm));
    const documented = rows.map(([, name, level, fields]) => ({
      ...{ name, level },
      fields: Array.from(fields!.matchAll(/`(\w+)`(\??)/g), ([, field, mark]) => `${field}${mark}`),
    }));
    const known = Object.entries(EVENTS).map(([name, { level, always, sometimes }]) => ({
      ...{ name, level },
      fields: [...always, ...sometimes.map((field) => `${field}?`)],
    }));
    expect(documented).toEqual(known);
  });

  it('has a dashboard beside it, all of whose metrics exist', () => {
    const dashboard = readFileSync(new URL('../../../docs/grafana-dashboard.json', import.meta.url), 'utf8');
    const used = new Set(Array.from(dashboard.matchAll(/tspmd_\w+/g), ([name]) => name));
    const tcp = Object.keys(TCP_MEANING).map((name) => `tspmd_${name}_total`);
    const known = [...families.map(({ name, type }) => (type === 'counter' ? `${name}_total` : name)), ...tcp];
    expect([...used].filter((name) => !known.includes(name.replace(/_bucket$/, '')))).toEqual([]);
    expect(used.size).toBeGreaterThan(15);
  });

  it('counts every counter of the layer and the device exactly once', () => {
    const layer = families.filter(({ samples }) => samples.some(({ labels }) => labels.thread === 'core 0'));
    const samples = layer.flatMap((family) => (family.type === 'histogram' ? [] : family.samples));
    // The thread has two more: whether it is alive, and asleep.
    expect(samples).toHaveLength(L2_COUNTERS.length + 2);
    const ofDevice = families.flatMap((family) => (family.type === 'histogram' ? [] : family.samples));
    expect(ofDevice.filter(({ labels }) => labels.device === 'd')).toHaveLength(NET_COUNTERS.length);
  });
});
