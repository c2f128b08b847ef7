/** Metadata: who sets it, who reads it, and that each packet has its own, whatever way it takes. */
import { afterEach, describe, expect, it } from 'vitest';
import { frame } from '../../../support/bess/fake-port.js';
import { type TunnelLab, tunnelLab } from '../../../support/bess/tunnel-lab.js';

let lab: TunnelLab | undefined;
afterEach(async () => {
  await lab?.stop();
  lab = undefined;
});

const MAC = { a: '52:54:00:00:00:0a', b: '52:54:00:00:00:0b', c: '52:54:00:00:00:0c' };
/** Sets an attribute that EtherEncap writes into bytes 6 to 11 of what comes out. */
const source = (value: number): string =>
  `SetMetadata(attrs=[{'name': 'ether_src', 'size': 6, 'value_int': ${value}}])`;
const OTHERS =
  "SetMetadata(attrs=[{'name': 'ether_dst', 'size': 6, 'value_int': 1}, {'name': 'ether_type', 'size': 2, 'value_bin': '\\x88\\xb5'}])";
/** The source address, as a number, and the tag of the inner frame, of what a port got. */
const got = (port: string): number[][] =>
  lab!.queue(port).received.map((bytes) => [Buffer.from(bytes).readUIntBE(6, 6), bytes[14 + 14]!]);

async function failureOf(text: string): Promise<string> {
  try {
    lab = await tunnelLab(['p', 'q'], text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the script ran');
}

describe('metadata', () => {
  it('belongs to the packet, where a table splits a burst and ways join again', async () => {
    const entries = Object.values(MAC).map((addr, gate) => `{'addr': '${addr}', 'gate': ${gate}}`);
    lab = await tunnelLab(
      ['p', 'q'],
      `
t::L2Forward()
t.add(entries=[${entries.join(', ')}])
QueueInc(port=p.name) -> ${source(99)} -> ${OTHERS} -> t
end::EtherEncap() -> QueueOut(port=q.name)
m::Merge() -> end
t:0 -> ${source(10)} -> m
t:1 -> 1:m
t:2 -> ${source(12)} -> SpoofGuard(mac='52:54:00:00:00:01') -> 2:m
`,
    );
    const from = (to: string, tag: number): Uint8Array => {
      const bytes = frame(to, tag);
      bytes.set([0x52, 0x54, 0, 0, 0, 1], 6);
      return bytes;
    };
    const order = [MAC.b, MAC.a, MAC.c, MAC.a, MAC.b, MAC.c];
    lab.queue('p').offer(...order.map((to, i) => from(to, i + 1)));
    lab.run();
    expect(got('q')).toEqual([
      ...[
        [99, 1],
        [99, 5],
      ],
      ...[
        [10, 2],
        [10, 4],
      ],
      ...[
        [12, 3],
        [12, 6],
      ],
    ]);
  });

  it('has its value again in the next burst, whatever has changed it meanwhile', async () => {
    const entries = Object.values(MAC).map((addr, gate) => `{'addr': '${addr}', 'gate': ${gate}}`);
    const table = (name: string): string => `${name}::L2Forward()\n${name}.add(entries=[${entries.join(', ')}])`;
    lab = await tunnelLab(
      ['p', 'q'],
      `
${table('t')}
${table('u')}
QueueInc(port=p.name) -> ${OTHERS} -> t
m::Merge() -> EtherEncap() -> QueueOut(port=q.name)
t:0 -> ${source(1)} -> u
t:1 -> ${source(2)} -> u
u:0 -> m
u:1 -> 1:m
`,
    );
    const { graph } = lab.bess;
    for (const to of [MAC.a, MAC.b, MAC.a, MAC.b, MAC.a]) {
      lab.queue('p').offer(frame(to, 1), frame(to, 2));
      graph.tasks[0]!.run();
    }
    expect(got('q').map(([value]) => value)).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 1, 1]);
    await lab.stop();
    lab = await tunnelLab(
      ['p', 'q'],
      `
${table('t')}
QueueInc(port=p.name) -> ${OTHERS} -> ${source(1)} -> t
m::Merge() -> EtherEncap() -> QueueOut(port=q.name)
t:0 -> m
t:1 -> ${source(2)} -> 1:m
t:2 -> SetMetadata(attrs=[{'name': 'ether_src', 'size': 6, 'offset': 0}]) -> 2:m
`,
    );
    for (const order of ['abc', 'cab', 'bca', 'aaa']) {
      lab.queue('p').offer(...Array.from(order, (name) => frame(MAC[name as 'a'], 1)));
      lab.run();
    }
    const c = 0x52540000000c;
    expect(got('q').map(([value]) => value)).toEqual([...[1, 2, c], ...[c, 1, 2], ...[2, c, 1], ...[1, 1, 1]]);
  });

  it.each([
    ['one copy', `r:1 -> ${source(7)} -> m\nr:0 -> 1:m`, [7, 99]],
    ['the original', `r:0 -> ${source(7)} -> m\nr:1 -> 1:m`, [99, 7]],
    ['each of three', `r:1 -> ${source(7)} -> m\nr:0 -> 1:m\nr:2 -> ${source(8)} -> 2:m`, [7, 8, 99]],
  ])('that %s gets is not seen by the others', async (_, ways, expected) => {
    lab = await tunnelLab(
      ['p', 'q'],
      `
r::Replicate(gates=list(range(${expected.length})))
QueueInc(port=p.name) -> ${source(99)} -> ${OTHERS} -> r
m::Merge() -> EtherEncap() -> QueueOut(port=q.name)
${ways}
`,
    );
    lab.queue('p').offer(frame(MAC.a, 1), frame(MAC.b, 2));
    lab.run();
    expect(got('q')).toEqual(
      expected.flatMap((value) => [
        [value, 1],
        [value, 2],
      ]),
    );
  });

  it('lets each copy have headers of its own behind a common one', async () => {
    lab = await tunnelLab(
      ['p', 'q'],
      `
r::Replicate(gates=[0, 1])
QueueInc(port=p.name) -> ${source(1)} -> ${OTHERS} -> EtherEncap() -> EtherEncap() -> r
m::Merge() -> QueueOut(port=q.name)
r:0 -> ${source(2)} -> EtherEncap() -> m
r:1 -> ${source(3)} -> EtherEncap() -> 1:m
`,
    );
    lab.queue('p').offer(frame(MAC.a, 5));
    lab.run();
    const [one, other] = lab.queue('q').received.map((bytes) => bytes.length);
    expect([one, other]).toEqual([60 + 42, 60 + 42]);
    const [first, second] = lab.queue('q').received as [Uint8Array, Uint8Array];
    expect([first[11], second[11]]).toEqual([3, 2]);
    expect(first.slice(12)).toEqual(second.slice(12));
  });

  it('is taken from the packet, moved and masked, with zeros behind its end', async () => {
    const attrs = [
      "{'name': 'ether_dst', 'size': 6, 'offset': 6}",
      "{'name': 'ether_src', 'size': 6, 'offset': 0, 'rshift_bits': 16, 'mask': '\\xff\\x0f\\xff\\xff\\xff\\xff'}",
      "{'name': 'ether_type', 'size': 2, 'offset': 59}",
    ];
    lab = await tunnelLab(
      ['p', 'q'],
      `QueueInc(port=p.name) -> SetMetadata(attrs=[${attrs.join(', ')}]) -> EtherEncap() -> QueueOut(port=q.name)`,
    );
    const bytes = Uint8Array.from({ length: 60 }, (_, i) => i + 0xa0);
    lab.queue('p').offer(bytes);
    lab.queue('p').waiting.push([bytes.slice(0, 3), bytes.slice(3)]);
    lab.run();
    const head = [0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0, 0, 0xa0, 0xa1, 0xa2, 0xa3, 0xa0 + 59, 0];
    for (const received of lab.queue('q').received) expect(Array.from(received.subarray(0, 14))).toEqual(head);
    expect(lab.queue('q').received).toHaveLength(2);
  });
});

describe('a script that uses metadata wrongly', () => {
  const one = (entry: string): string => `SetMetadata(attrs=[${entry}])`;

  it.each([
    ['SetMetadata()', "'attrs' must be specified"],
    [one("{'size': 4, 'value_int': 1}"), "'name' field is missing"],
    [one("{'name': 'x', 'value_int': 1}"), "attribute 'x': 'size' must be 1-32"],
    [one("{'name': 'x', 'size': 33, 'value_int': 1}"), "attribute 'x': 'size' must be 1-32"],
    [one("{'name': 'x', 'size': 1, 'value_int': 256}"), "'value_int' field has not a correct 1-byte value: 256"],
    [one("{'name': 'x', 'size': 4, 'value_int': -1}"), "'value_int' field has not a correct 4-byte value: -1"],
    [one("{'name': 'x', 'size': 4, 'value_bin': 'abc'}"), "attribute 'x': 'value_bin' field has not a correct 4-byte"],
    [one("{'name': 'x', 'size': 4, 'value_bin': 5}"), "'value_bin' must be a string of bytes"],
    [one("{'name': 'x', 'size': 1, 'value_int': 1, 'value_bin': 'a'}"), "give one of 'value_int' and 'value_bin'"],
    [one("{'name': 'x', 'size': 4, 'offset': 2044}"), "attribute 'x': invalid packet offset"],
    [one("{'name': 'x', 'size': 4, 'offset': -1}"), "attribute 'x': invalid packet offset"],
    [one("{'name': 'x', 'size': 4, 'rshift_bits': 7}"), "'rshift_bits' must be a multiple of 8"],
    [one("{'name': 'x', 'size': 4, 'rshift_bits': -32}"), "'rshift_bits' must be in (-32, 32)"],
    [one("{'name': 'x', 'size': 4, 'mask': 'abc'}"), "'mask' field has not a correct 4-byte value"],
    [one("{'name': 'x', 'size': 1, 'value_int': 1, 'mask': 'a'}"), "'mask' may only be set when copying metadata"],
    [one("{'name': 'x', 'size': 1, 'value_int': 1, 'rshift_bits': 8}"), "'rshift_bits' may only be set when copying"],
    [one("{'name': 'x', 'size': 1, 'val': 1}"), 'an attribute has name, size, value_int, value_bin, offset, mask, '],
    [
      `${one("{'name': 'tun_id', 'size': 2, 'value_int': 1}")} -> VXLANEncap()`,
      "'tun_id' cannot have 4 bytes: another module",
    ],
    ['VXLANEncap(dstport=65536)', "invalid 'dstport' field"],
    ['VXLANEncap(port=1)', "there is no argument 'port'; known are name, dstport"],
  ])('%s', async (text, expected) => {
    expect(await failureOf(text)).toContain(expected);
  });

  it('is told what is missing, and where', async () => {
    const direct = await failureOf(`i::QueueInc(port=p.name) -> e::EtherEncap() -> QueueOut(port=q.name)`);
    expect(direct).toContain(
      "e::EtherEncap reads the metadata attribute 'ether_src', and packets from i::QueueInc come to it without: " +
        "put SetMetadata(attrs=[{'name': 'ether_src', 'size': 6, 'value_int': …}]) before it",
    );
    const around = `i::QueueInc(port=p.name) -> l::L2Forward()\nl:0 -> ${source(1)} -> ${OTHERS} -> e::EtherEncap()\nl:1 -> e`;
    expect(await failureOf(around)).toContain("e::EtherEncap reads the metadata attribute 'ether_src'");
  });

  it('is not stopped by modules that no packet reaches', async () => {
    lab = await tunnelLab(['p', 'q'], `EtherEncap() -> QueueOut(port=q.name)`);
    expect(lab.run().summary.received).toBe(0);
  });
});
