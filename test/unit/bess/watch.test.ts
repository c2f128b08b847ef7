/** What the switch reports by itself: stations that the script does not know, and ports that do not work. */
import { describe, expect, it } from 'vitest';
import { L2Forward } from '../../../bess/modules/l2-forward.js';
import { Metadata } from '../../../bess/modules/metadata/attribute.js';
import type { Module } from '../../../bess/modules/module.js';
import { PortInc } from '../../../bess/modules/port-inc.js';
import { PortOut } from '../../../bess/modules/port-out.js';
import { SourceWatch } from '../../../bess/modules/source-watch.js';
import { VxlanDecap } from '../../../bess/modules/tunnel/vxlan-decap.js';
import { PortWatch } from '../../../bess/ports/port-watch.js';
import { Switch } from '../../../bess/switch.js';
import { FakePortDevice, fakePort, frame, poll } from '../../support/bess/fake-port.js';

const ONE = '52:54:00:00:00:01';
const TWO = '52:54:00:00:00:02';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** A frame from `source`. */
function from(source: string, bytes = 60): Uint8Array {
  const result = frame(BROADCAST, 0, bytes);
  result.set(
    source.split(':').map((octet) => Number.parseInt(octet, 16)),
    6,
  );
  return result;
}

describe('SourceWatch', () => {
  function watchedSwitch(entries = [ONE, TWO, BROADCAST]) {
    const a = fakePort('vm1');
    const b = fakePort('vm2');
    const input = new PortInc('in', a.port);
    const fwd = new L2Forward('fwd');
    fwd.add(entries.map((addr, i) => ({ addr, gate: i })));
    input.connect(0, fwd, 0);
    fwd.connect(0, new PortOut('vm1_out', a.port), 0);
    fwd.connect(1, new PortOut('vm2_out', b.port), 0);
    const lines: string[] = [];
    const watch = (modules: readonly Module[] = [input, fwd]) => new SourceWatch(modules, (line) => lines.push(line));
    return { a, input, fwd, lines, watch };
  }

  it('names a station without an entry once, with its port and the entries', () => {
    const { a, input, lines, watch } = watchedSwitch();
    const sources = watch();
    for (let i = 0; i < 3; i++) {
      sources.inspectNextBursts();
      a.queue.offer(from(ONE), from('3a:00:00:00:00:01'), from('01:00:00:00:00:01'), from('00:00:00:00:00:00'));
      poll(input);
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^port vm1: the station 3a:00:00:00:00:01 has no entry in fwd::L2Forward, so packets to it are dropped\. /,
    );
    expect(lines[0]).toContain(
      `entries for ${ONE} (to vm1_out), ${TWO} (to vm2_out): use one of these addresses (--mac)`,
    );
    expect(lines[0]).not.toContain(BROADCAST);
  });

  it('looks at one burst, and then at no more until it is asked to', () => {
    const { a, input, lines, watch } = watchedSwitch();
    const sources = watch();
    a.queue.offer(from('3a:00:00:00:00:01'));
    poll(input);
    expect(lines).toEqual([]);
    sources.inspectNextBursts();
    poll(input);
    a.queue.offer(from(ONE));
    poll(input);
    a.queue.offer(from('3a:00:00:00:00:02'));
    poll(input);
    expect(lines).toEqual([]);
  });

  it('reports eight addresses per port, then says that there are more', () => {
    const { a, input, lines, watch } = watchedSwitch();
    const sources = watch();
    for (let i = 1; i <= 40; i++) {
      sources.inspectNextBursts();
      a.queue.offer(from(`3a:00:00:00:01:${i.toString(16)}`));
      poll(input);
    }
    expect(lines).toHaveLength(9);
    expect(lines[8]).toBe('port vm1: more stations have no entry; they are not reported');
  });

  it('names at most eight entries, and says when there are none', () => {
    const many = watchedSwitch(Array.from({ length: 100 }, (_, i) => `52:54:00:00:01:${i.toString(16)}`));
    many.watch().inspectNextBursts();
    many.a.queue.offer(from(ONE));
    poll(many.input);
    expect(many.lines[0]?.match(/\(to /g)).toHaveLength(8);
    expect(many.lines[0]).toContain(' and more: use');
    const none = watchedSwitch([BROADCAST]);
    none.watch().inspectNextBursts();
    none.a.queue.offer(from(ONE));
    poll(none.input);
    expect(none.lines[0]).toContain('The table has no entries for stations');
  });

  it('reports nothing where a default gate takes what is unknown, or without L2Forward', () => {
    const { a, input, fwd, lines, watch } = watchedSwitch();
    fwd.setDefaultGate(1);
    for (const modules of [[input, fwd], [input]]) {
      watch(modules).inspectNextBursts();
      a.queue.offer(from('3a:00:00:00:00:01', 60));
      poll(input);
    }
    expect(lines).toEqual([]);
  });

  it('reports nothing of the network around a tunnel', () => {
    const { a, input, fwd, lines, watch } = watchedSwitch();
    const decap = new VxlanDecap('decap', new Metadata());
    input.gates.length = 0;
    input.connect(0, decap, 0);
    decap.connect(0, fwd, 0);
    watch([input, decap, fwd]).inspectNextBursts();
    a.queue.offer(from('3a:00:00:00:00:01'));
    poll(input);
    expect(lines).toEqual([]);
  });

  it('passes over a frame whose address it cannot read in one piece', () => {
    const { a, input, lines, watch } = watchedSwitch();
    watch().inspectNextBursts();
    a.queue.waiting.push([from(TWO).subarray(0, 8), from('3a:00:00:00:00:01').subarray(8)]);
    poll(input);
    expect(lines).toEqual([]);
    expect(a.port.incPackets).toBe(1);
  });
});

describe('PortWatch', () => {
  it('reports each problem once, and that it is over', () => {
    const { port, device } = fakePort('vm1');
    const lines: string[] = [];
    const watch = new PortWatch([port], (line) => lines.push(line));
    watch.check();
    device.problem = 'the socket /x was removed';
    watch.check();
    watch.check();
    device.problem = null;
    watch.check();
    expect(lines).toEqual(['port vm1: the socket /x was removed', 'port vm1: mock vm1 works now']);
  });
});

describe('a switch', () => {
  it('checks its ports when it starts, and shows their problems with its counters', async () => {
    const device = new FakePortDevice();
    const lines: string[] = [];
    const bess = new Switch({
      devices: { vhost: () => device, tap: () => device, afPacket: () => device, close: () => undefined },
      log: (line) => lines.push(line),
    });
    const queues = { incQueues: 0, outQueues: 0, incSize: 0, outSize: 0 };
    bess.ports.create({ name: 'k', vdev: 'net_tap0', pci: null, portId: null, ...queues });
    device.problem = "the interface dtap0 is down: bring it up with 'ip link set dtap0 up'";
    device.isUp = false;
    await bess.start();
    expect(lines).toEqual([`port k: ${device.problem}`]);
    expect(bess.stats().ports.k).toMatchObject({ up: false, problem: device.problem });
    await bess.stop();
  });

  it('limits the lines that a peer can cause, by port and kind, and counts the rest', async () => {
    const devices: FakePortDevice[] = [];
    const make = (): FakePortDevice => {
      const device = new FakePortDevice();
      devices.push(device);
      return device;
    };
    const lines: string[] = [];
    const bess = new Switch({
      devices: { vhost: make, tap: make, afPacket: make, close: () => undefined },
      log: (line) => lines.push(line),
    });
    const queues = { incQueues: 0, outQueues: 0, incSize: 0, outSize: 0 };
    for (const unit of [0, 1]) {
      bess.ports.create({ name: `k${unit}`, vdev: `net_tap${unit}`, pci: null, portId: null, ...queues });
    }
    await bess.start();
    for (let i = 0; i < 80_000; i++) devices[0]?.onNotice?.('it was refused', 'refused message');
    devices[0]?.onNotice?.('the peer is gone', 'link down');
    devices[1]?.onNotice?.('it was refused', 'refused message');
    expect(lines).toHaveLength(22);
    expect(lines.slice(19)).toEqual([
      'port k0: it was refused',
      'port k0: the peer is gone',
      'port k1: it was refused',
    ]);
    await bess.stop();
    expect(lines.slice(22)).toEqual([
      expect.stringMatching(/^port k0: … 79,980 more of this kind in the last \d+ s: refused message$/),
    ]);
  });
});
