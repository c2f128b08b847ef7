/** What the page says of two looks at a process. */
import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../../../../../observe/page/browser/model/changes.js';
import { lookAtPort } from '../../../../../../observe/page/browser/model/look-at-port.js';
import { lookAtSwitch } from '../../../../../../observe/page/browser/model/look-at-switch.js';
import { ratesOf } from '../../../../../../observe/page/browser/model/rates.js';
import type { PortTold, SwitchTold } from '../../../../../../observe/page/browser/model/told.js';

const thread = (title: string, counters: Record<string, number>, isAsleep = false) => ({
  ...{ title, isAlive: true, isAsleep, counters },
});
const rings = { rx_queue: { count: 3, capacity: 8 } };

function port(scale: number, isAsleep = false): PortTold {
  const counters = {
    rx_packets: 100,
    rx_bytes: 6000,
    tx_packets: 50,
    tx_bytes: 3000,
    rx_drop_runt: 10,
    rx_dropped_no_buffer: 2,
  };
  const all = Object.fromEntries(Object.entries(counters).map(([name, value]) => [name, value * scale]));
  const busy = {
    loop_busy_ms: 250 * scale,
    loop_idle_ms: 750 * scale,
    rx_delivered: 90 * scale,
    tx_queued: 50 * scale,
  };
  return {
    ...{ device: 'vhost-user:/run/vm1.sock,server=1', counters: { ...all, rx_lost_core_gone: 0 }, totals: [null] },
    cores: [{ ...thread('core 0', busy, isAsleep), rings }],
    workers: [
      { ...thread('Rx worker', { rx_frames: 100 * scale }), role: 'Rx' },
      { ...thread('Tx worker', { tx_handed: 50 * scale }), role: 'Tx' },
    ],
  };
}

const way = (packets: number, dropped = 0) => ({ packets, bytes: packets * 60, dropped });

function bess(scale: number, up = true): SwitchTold {
  const dropped = {
    total: 4 * scale,
    full: 4 * scale,
    noPeer: 0,
    interfaceDown: 0,
    unknownDestination: 0,
    deadend: 0,
    sink: 0,
  };
  const about = { description: 'vhost-user /run/vm1.sock', up, problem: null };
  return {
    worker: { busy: scale, idle: scale, asleep: false },
    summary: { received: 10 * scale, generated: 0, forwarded: 6 * scale, dropped },
    ports: {
      vm1: { ...about, inc: way(10 * scale), out: way(6 * scale, 4 * scale), device: up ? {} : { in_badChain: 7 } },
    },
    modules: [
      {
        name: 'q0',
        class: 'QueueInc',
        desc: 'vm1:0/PMDPort',
        gates: [{ gate: 0, to: 'q1', ...way(10 * scale) }],
        deadends: 0,
        counters: {},
      },
      { name: 'q1', class: 'QueueOut', desc: 'vm1:0/PMDPort', gates: [], deadends: 0, counters: {} },
    ],
  };
}

describe('rates of a port', () => {
  const rates = ratesOf(lookAtPort(12, port(3)), lookAtPort(10, port(1)));

  it('are what was counted between two looks, per second', () => {
    expect(rates.in).toEqual({ packets: 100, bytes: 6000 });
    expect(rates.out).toEqual({ packets: 50, bytes: 3000 });
    expect(rates.dropped).toBe(12);
    expect(rates.drops.get('rx_drop_runt')).toBe(10);
    expect(rates.drops.get('rx_dropped_no_buffer')).toBe(2);
    expect(rates.ports.get('vm1.sock')).toMatchObject({ in: { packets: 100 }, dropped: 12 });
    expect(rates.threads.get('Rx worker')).toEqual({ busy: null, in: 100, out: null, dropped: 0 });
    expect(rates.edges.get('Rx worker (receives)  core 0 (stack)')).toEqual({ packets: 90, bytes: 0 });
  });

  it('are 0 at the first look, and when a counter begins anew', () => {
    const first = ratesOf(lookAtPort(10, port(1)), null);
    const again = ratesOf(lookAtPort(12, port(1)), lookAtPort(10, port(3)));
    const backwards = ratesOf(lookAtPort(10, port(3)), lookAtPort(10, port(1)));
    for (const { in: into, dropped, edges } of [first, again, backwards])
      expect([into.packets, dropped, ...[...edges.values()].map(({ packets }) => packets)]).toEqual(Array(6).fill(0));
    expect(first.threads.get('core 0')?.busy).toBeNull();
  });

  it('count a sleep that has not ended as idle', () => {
    expect(rates.threads.get('core 0')?.busy).toBeCloseTo(0.25);
    const asleep = ratesOf(lookAtPort(14, port(3, true)), lookAtPort(10, port(1)));
    expect(asleep.threads.get('core 0')?.busy).toBeCloseTo(0.125);
  });

  it('have a scope for each reason, where its advice is found', () => {
    const { drops, dropped } = lookAtPort(1, {
      ...port(1),
      counters: {
        rx_drop_runt: 1,
        tx_drop_length: 2,
        rx_lost_core_gone: 3,
        rx_lost_on_reset: 4,
        tx_dropped_bad_length: 5,
        rx_packets: 9,
      },
    });
    expect(drops.map(({ scope, reason, count }) => [scope, reason, count])).toEqual([
      ['received', 'runt', 1],
      ['to send', 'length', 2],
      ['lost', 'core_gone', 3],
      ['driver', 'on_reset', 4],
      ['driver', 'bad_length', 5],
    ]);
    expect(dropped).toBe(15);
  });
});

describe('rates of a switch', () => {
  it('are those of its ports, gates and thread', () => {
    const look = lookAtSwitch(12, bess(3));
    const rates = ratesOf(look, lookAtSwitch(10, bess(1)));
    expect([rates.in.packets, rates.out.packets, rates.dropped]).toEqual([10, 6, 4]);
    expect(rates.edges.get('q0 0 q1')).toEqual({ packets: 10, bytes: 600 });
    expect(rates.nodes.get('q1')).toBe(4);
    expect(rates.threads.get('switch')?.busy).toBe(1);
    expect(look.graph.nodes.map(({ title, kind, detail }) => [title, kind, detail])).toEqual([
      ['vm1', 'in', 'sends'],
      ['vm1', 'out', 'receives'],
    ]);
    expect(look.noRings).toContain('no rings');
  });

  it('count a reason that a device names for the first time', () => {
    const rates = ratesOf(lookAtSwitch(12, bess(1, false)), lookAtSwitch(11, bess(1)));
    expect(rates.drops.get('port vm1 in_badChain')).toBe(7);
  });
});

describe('changes', () => {
  it('are those of state, not those of figures', () => {
    expect(changesBetween(lookAtSwitch(1, bess(1)), lookAtSwitch(2, bess(9)))).toEqual([]);
    expect(changesBetween(lookAtSwitch(1, bess(1)), lookAtSwitch(2, bess(1, false)))).toEqual([
      'port vm1 is down',
      'first drop, port vm1, received: in_badChain',
    ]);
    const ended = { ...port(1), cores: [{ ...thread('core 0', {}), isAlive: false, rings: null }] };
    expect(changesBetween(lookAtPort(1, port(1)), lookAtPort(2, ended))).toEqual(['core 0 has ended']);
  });
});
