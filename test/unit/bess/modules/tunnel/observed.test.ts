/** What others see of tunnels: tables, metrics, captures. */
import { afterEach, expect, it } from 'vitest';
import { renderStats } from '../../../../../bess/stats.js';
import { familiesOf } from '../../../../../bess/switch-metrics.js';
import { ENCAP, TO_OTHER_HOST, type TunnelLab, tunnelLab } from '../../../../support/bess/tunnel-lab.js';
import { carrying } from '../../../../support/bess/vxlan-reference.js';
import { TestCapture, wishFor } from '../../../../support/observe/records.js';

let lab: TunnelLab;
afterEach(async () => {
  await lab.stop();
});

const frame = new Uint8Array(60).fill(7);

it('a capture of drops has the module, the reason and the packet as it came', async () => {
  lab = await tunnelLab(['vm', 'nic'], 'QueueInc(port=nic.name) -> d::VXLANDecap() -> QueueOut(port=vm.name)');
  const wish = { drops: true };
  const opened = lab.bess.capture.begin(wishFor(wish));
  const reader = new TestCapture(wish, opened.rings[0]);
  const bad = [carrying(frame, {}, { flags: 0 }), carrying(frame, {}, { fragment: 1 })];
  lab.queue('nic').offer(carrying(frame), ...bad);
  lab.queue('vm').room = 0;
  lab.run();
  const seen = reader.take().map(({ bytes, reason }) => [opened.reasons[reason], Array.from(bytes)]);
  expect(seen).toEqual([
    ['dropped by d (VXLANDecap): its VXLAN header has no VNI', Array.from(bad[0]!)],
    ['dropped by d (VXLANDecap): the outer packet is a fragment', Array.from(bad[1]!)],
    ["out_noBuffer: the peer's ring, or the kernel's queue, is full", Array.from(frame)],
  ]);
});

it('counters are in the tables, in JSON and in the metrics', async () => {
  const path = `QueueInc(port=vm.name) -> ${TO_OTHER_HOST} -> v::${ENCAP} -> QueueOut(port=nic.name)`;
  lab = await tunnelLab(['vm', 'nic'], path);
  lab.queue('vm').offer(frame, ...Array<Uint8Array>(1200).fill(new Uint8Array(13)));
  const stats = lab.run();
  expect(stats.modules.find(({ name }) => name === 'v')?.counters).toEqual({ truncated: 1200 });
  const text = renderStats(stats);
  expect(text).toMatch(/truncated +│ +1,200 │/);
  expect(text).toContain('forwarded 1 (of these replicated 0), dropped 1,200 (1,200 tunnel)');
  const process = {
    ...({ pid: 1, kind: 'switch', name: 'x', state: 'ready', devices: [], address: null, mode: null } as const),
    ...{ version: '0', uptime: 1 },
  };
  const families = familiesOf({ process, switch: stats });
  const samples = (name: string) => families.find((family) => family.name === name)?.samples;
  expect(samples('tspmd_switch_module_events')).toEqual([
    { labels: { module: 'v', class: 'VXLANEncap', event: 'truncated' }, value: 1200 },
  ]);
  expect(samples('tspmd_switch_dropped_packets')).toContainEqual({ labels: { reason: 'tunnel' }, value: 1200 });
});
