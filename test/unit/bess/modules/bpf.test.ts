/** BPF: which gate a packet leaves by, and what a script is told. */
import { afterEach, describe, expect, it } from 'vitest';
import { Bpf, type BpfFilter } from '../../../../bess/modules/bpf.js';
import { errorOf } from '../../../support/bess/fake-port.js';
import { type TunnelLab, tunnelLab } from '../../../support/bess/tunnel-lab.js';
import { carrying } from '../../../support/bess/vxlan-reference.js';
import { ethernet, ipv4, udp } from '../../../support/link/frames.js';

let lab: TunnelLab | undefined;
afterEach(async () => {
  await lab?.stop();
  lab = undefined;
});

const to = (port: number, tag = 0): Uint8Array => ethernet(ipv4(udp([tag], 1000, port), { protocol: 17 }));
const PORTS = ['p', 'g0', 'g1', 'g2'];
const WIRES = `QueueInc(port=p.name) -> b
b:0 -> QueueOut(port=g0.name)
b:1 -> QueueOut(port=g1.name)
b:2 -> QueueOut(port=g2.name)`;

async function sorted(filters: string, ...offered: (Uint8Array | Uint8Array[])[]): Promise<number[][]> {
  lab = await tunnelLab(PORTS, `b::BPF(${filters})\n${WIRES}`);
  for (const frame of offered) lab.queue('p').waiting.push(Array.isArray(frame) ? frame : [frame]);
  lab.run();
  return ['g0', 'g1', 'g2'].map((name) => lab!.queue(name).received.map((bytes) => bytes[42]!));
}
const filter = (priority: number, text: string, gate: number): string =>
  `{'priority': ${priority}, 'filter': '${text}', 'gate': ${gate}}`;

describe('BPF', () => {
  it('takes the matching filter of the highest priority, and gate 0 without one', async () => {
    const filters = [filter(1, 'udp', 1), filter(3, 'udp dst port 53', 2), filter(2, 'udp dst port 53', 0)];
    const frames = [to(53, 1), to(80, 2), ethernet(Array(60).fill(3), { type: 0x0806 }), to(53, 4)];
    expect(await sorted(`filters=[${filters.join(', ')}]`, ...frames)).toEqual([[3], [2], [1, 4]]);
  });

  it('takes the one that was added first, among equals', async () => {
    expect(await sorted(`filters=[${filter(0, 'udp', 1)}, ${filter(0, 'ip', 2)}]`, to(1, 7))).toEqual([[], [7], []]);
  });

  it('sends everything to gate 0 without filters', async () => {
    expect(await sorted('', to(1, 1), to(2, 2))).toEqual([[1, 2], [], []]);
  });

  it('sees all of a packet in pieces that a filter asks for', async () => {
    const frame = to(53, 9);
    const pieces = Array.from({ length: frame.length }, (_, i) => frame.slice(i, i + 1));
    const long = Uint8Array.from([...to(53, 8), ...Array<number>(500).fill(5)]);
    const filters = [filter(2, 'ether[400] = 5', 2), filter(1, 'udp[8] & 0xf = 9 and dst port 53', 1)];
    const cut = [long.slice(0, 300), long.slice(300)];
    expect(await sorted(`filters=[${filters.join(', ')}]`, pieces, cut, [frame.slice(0, 20), frame.slice(20)])).toEqual(
      [[], [9, 9], [8]],
    );
  });

  it('separates a wrong VNI and unknown hosts from what is for us', async () => {
    const ours = 'udp dst port 4789 and udp[12:4] & 0xffffff00 = 0x3e700 and src host 192.168.0.1';
    const filters = `filters=[${filter(2, ours, 1)}, ${filter(1, 'udp dst port 4789', 2)}]`;
    lab = await tunnelLab(PORTS, `b::BPF(${filters})\n${WIRES}`);
    const inner = new Uint8Array(60);
    const good = carrying(inner);
    const bad = [
      carrying(inner, { vni: 0x3e8 }),
      carrying(inner, { source: '192.168.0.3' }),
      carrying(inner, { vni: 0x1003e7 }),
    ];
    lab.queue('p').offer(good, ...bad, carrying(inner, { port: 8472 }), carrying(inner, {}, { reserved: 0xff }));
    lab.run();
    expect(lab.queue('g1').received).toEqual([good, carrying(inner, {}, { reserved: 0xff })]);
    expect(lab.queue('g2').received).toEqual(bad);
    expect(lab.queue('g0').received).toHaveLength(1);
  });

  it('has the commands of BESS', async () => {
    lab = await tunnelLab(
      PORTS,
      `b::BPF()
b.add(filters=[${filter(1, 'udp', 1)}, ${filter(2, 'udp', 2)}])
b.delete(filters=[${filter(2, 'udp', 2)}, ${filter(9, 'udp', 2)}])
${WIRES}`,
    );
    lab.queue('p').offer(to(1));
    expect(lab.run().modules[0]).toMatchObject({ class: 'BPF', desc: '1 filter' });
    expect(lab.queue('g1').received).toHaveLength(1);
    const bpf = lab.bess.graph.get('b') as Bpf;
    bpf.clear();
    expect(bpf.describe()).toBe('0 filters');
  });

  it.each<[Partial<BpfFilter>, string]>([
    [{ gate: 8192 }, 'Invalid gate 8192: a BPF has the gates 0 to 8191'],
    [{ gate: -1 }, 'Invalid gate -1'],
    [{ filter: 'hots x' }, "BPF compilation error: filter: 'hots' at 1: known are host, net, port, "],
  ])('refuses %j, and adds nothing then', (wrong, expected) => {
    const good = { priority: 1, filter: 'udp', gate: 1 };
    const bpf = new Bpf('b');
    const error = errorOf(() => bpf.add([good, { ...good, ...wrong }]));
    expect(error).toMatchObject({ code: 'EINVAL', message: expect.stringContaining(expected) });
    expect(bpf.describe()).toBe('0 filters');
  });

  it.each([
    ["{'filters': 'udp'}", "a filter has priority, filter, gate, and no 'filters'"],
    ["{'filter': 1}", "'filter' must be a string"],
    ["{'filter': 'udp', 'gate': '1'}", "'gate' must be an integer"],
  ])('refuses the entry %s', async (entry, expected) => {
    await expect(tunnelLab(PORTS, `b::BPF(filters=[${entry}])`)).rejects.toThrow(expected);
  });
});
