/** What processes answer to `tspmd top`, at one second after the other. */
import type { ProcessStats, RunningProcess } from '../../../observe/control/process-info.js';
import { about } from './scripted-control.js';

const thread = (title: string, counters: Readonly<Record<string, number>>) => ({
  ...{ title, isAlive: true, isAsleep: false },
  counters: { rx_frames: 0, loop_busy_ms: 0, loop_idle_ms: 0, held_by_stack: 0, ...counters },
});

/** A port with two cores and two workers: each second 1.2 M packets in, 0.6 M out, and 120 drops. */
export function portStats(second: number, more: Partial<RunningProcess> = {}): ProcessStats {
  const [rx, tx, dropped] = [1_200_000 * second, 600_000 * second, 120 * second];
  const core = (index: number, share: number, count: number) => ({
    ...thread(`core ${index}`, {
      ...{ rx_delivered: (rx * share) | 0, tx_queued: (tx * share) | 0, rx_drop_queue_full: dropped * index },
      ...{ loop_busy_ms: 1000 * share * second, loop_idle_ms: 1000 * (1 - share) * second, held_by_stack: 12 + count },
    }),
    index,
    rings: { rx_queue: { count, capacity: 512 }, tx_queue: { count: 0, capacity: 1024 } },
  });
  const worker = (role: 'Rx' | 'Tx') => ({
    ...thread(`${role} worker`, {
      rx_frames: rx,
      tx_handed: tx,
      loop_busy_ms: 970 * second,
      loop_idle_ms: 30 * second,
    }),
    role,
  });
  return {
    process: about(4711, { ...more, uptime: 185 + second }),
    port: {
      ...{ device: 'vhost-user:/run/vm1.sock', mac: '52:54:00:00:00:01', address: '10.0.0.1/24', gateway: null },
      counters: {
        ...{ rx_packets: rx, rx_bytes: 1000 * rx, tx_packets: tx, tx_bytes: 64 * tx },
        ...{ rx_drop_queue_full: dropped, rx_drop_ipv6: 7, loop_busy_ms: 5, held_by_stack: 40 },
      },
      ...{ cores: [core(0, 0.25, 3), core(1, 0.75, 500)], workers: [worker('Tx'), worker('Rx')] },
      ...{ rssEntries: [64, 64], totals: [null, null] },
    },
  };
}

/** A switch with two ports, of which one has a problem. */
export function switchStats(second: number): ProcessStats {
  const count = 50_000 * second;
  const counts = (packets: number, dropped = 0) => ({ packets, bytes: 1500 * packets, dropped });
  const port = (i: number, more: object) => ({
    ...{ description: `vhost-user /run/vm${i}.sock`, up: true, problem: null, device: {} },
    ...{ inc: counts(count), out: counts(count) },
    ...more,
  });
  const gate = (number: number, to: string, packets: number) => ({
    ...{ gate: number, to, inputGate: 0, packets, bytes: 1500 * packets },
  });
  const module = (name: string, className: string, gates: object[], deadends = 0) => ({
    ...{ name, class: className, desc: '', gates, deadends },
  });
  return {
    process: about(815, {
      ...{ kind: 'switch', name: 'forward_script', address: null, mode: null, uptime: 100 + second },
      devices: ['/run/vm1.sock', '/run/vm2.sock'],
    }),
    switch: {
      uptime: 99 + second,
      worker: { busy: 0.62 * second, idle: 0.38 * second, asleep: false },
      summary: { received: count, forwarded: 2 * count, dropped: { total: 9, full: 4, noPeer: 5, sink: 0 } },
      ports: {
        vm1: port(1, { inc: counts(count, 2 * second), device: { in_badLength: 2 * second, in_packets: count } }),
        vm2: port(2, {
          ...{ up: false, problem: 'its memory has shrunk: start the VM again' },
          ...{ inc: counts(0), out: counts(count, 9), device: { out_noDriver: 5 } },
        }),
      },
      modules: [
        module('vm1_in', 'QueueInc', [gate(0, 'fwd', count)]),
        module('fwd', 'L2Forward', [gate(1, 'vm2_out', count), gate(2, 'flood', 0)], 3),
      ],
    },
  };
}

export const flows = {
  seconds: 1,
  sampled: true,
  flows: [
    {
      ...{ interface: 'port0', direction: 'in', protocol: 'tcp', source: '10.0.0.2:40000', destination: '10.0.0.1:80' },
      ...{ packetsPerSecond: 900_000, bytesPerSecond: 1.1e9 },
    },
    {
      ...{
        interface: 'port0',
        direction: 'out',
        protocol: 'tcp',
        source: '10.0.0.1:80',
        destination: '10.0.0.2:40000',
      },
      ...{ packetsPerSecond: 450_000, bytesPerSecond: 2.9e7 },
    },
  ],
};

const connection = (core: number, port: number, more: object) => ({
  ...{ core, local: '10.0.0.1:80', remote: `10.0.0.2:${port}`, state: 'ESTABLISHED', rtt: 0.184, rttVariance: 0.021 },
  ...{ minRtt: 0.09, congestionWindow: 14_480, slowStartThreshold: 1e9, sendWindow: 65_535, receiveWindow: 65_535 },
  ...{ mss: 1448, inFlight: 0, unsent: 0, retransmitted: 0, bytesIn: 1000 * port, bytesOut: 5000 * port },
  ...{ congestion: 'cubic', ...more },
});

export const connections = {
  total: 4321,
  connections: [
    connection(0, 40_000, {}),
    connection(1, 40_001, { rtt: 38.4, rttVariance: 9.5, retransmitted: 3, inFlight: 2896, unsent: 120_000 }),
    connection(1, 40_002, { state: 'CLOSE-WAIT', bytesIn: 10, bytesOut: 20 }),
  ],
};
