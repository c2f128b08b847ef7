/** The raw socket of a network interface, whose other end is a kernel in a network namespace that the test makes. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator, type WindowRange } from '../../drivers/memory/index.js';
import { AfPacketDevice } from '../../drivers/transports/af-packet/device.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { CHECKSUM_PARTIAL } from '../../rings/packet-table.js';
import { ip } from '../../scripts/netns.js';
import { ETH, VethCable } from '../support/peers/veth-cable.js';
import { command, describeWith, root } from '../support/requirements.js';
import { openFds } from '../support/resources.js';
import { until } from '../support/until.js';

const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const OUR_MAC = Buffer.from('020000000002', 'hex');

/** "Who has 192.0.2.1? Tell 192.0.2.2." (RFC 826), with a VLAN tag or without. */
const request = (tag = ''): Buffer =>
  Buffer.concat([
    Buffer.from('ffffffffffff', 'hex'),
    OUR_MAC,
    Buffer.from(`${tag}08060001080006040001`, 'hex'),
    OUR_MAC,
    Buffer.from('c0000202000000000000c0000201', 'hex'),
  ]);

describeWith('a raw socket', [root, command('ip')], () => {
  const reactor = new Reactor();
  const windows = new WindowAllocator();
  let cable: VethCable;
  let device: AfPacketDevice;
  let staging: WindowRange;

  beforeEach(() => {
    cable = VethCable.create('192.0.2.1/24');
    staging = windows.allocate(1 << 21);
    device = AfPacketDevice.open(cable.name, { reactor, windows });
  });

  afterEach(() => {
    device.close();
    windows.release(staging);
    cable.remove();
  });

  /** A burst of these frames, each in pieces of up to `most` bytes that lie apart. */
  function frames(all: readonly Buffer[], most = 65_536): PacketBurst {
    const burst = new PacketBurst(staging.window);
    for (const [i, bytes] of all.entries()) {
      const first = burst.segments;
      burst.push(staging.offset, bytes.length);
      let s = first;
      for (let done = 0; done < bytes.length; done += most, s++) {
        const piece = bytes.subarray(done, done + most);
        const at = staging.offset + i * 16_384 + done + 9 * (s - first);
        staging.window.u8.set(piece, at);
        burst.segmentOffset[s] = at;
        burst.segmentLength[s] = piece.length;
      }
      burst.segments = s;
      burst.firstSegment[i + 1] = s;
    }
    return burst;
  }

  async function takeOne(max = MAX_BURST): Promise<Buffer> {
    const burst = new PacketBurst(staging.window);
    await until('a frame', () => device.take(burst, max) > 0);
    expect(burst.count).toBe(1);
    const at = burst.segmentOffset[0]!;
    const bytes = Buffer.from(burst.memory.u8.slice(at, at + burst.length[0]!));
    device.complete();
    return bytes;
  }

  async function expectAnswer(): Promise<void> {
    expect(device.put(frames([request()]), ALL, 1)).toBe(1);
    const reply = await takeOne();
    expect(reply.subarray(0, 6)).toEqual(OUR_MAC);
    expect(reply.subarray(12, 22).toString('hex')).toBe('08060001080006040002');
    expect(reply.subarray(28, 32).toString('hex')).toBe('c0000201');
  }

  it.each([42, 20, 5])('gives the kernel a frame in pieces of %d bytes, and gets its answer', async (most) => {
    expect(device.put(frames([request()], most), ALL, 1)).toBe(1);
    expect((await takeOne()).subarray(28, 32).toString('hex')).toBe('c0000201');
    expect(device.counters()).toMatchObject({ in_packets: 1, in_bytes: 42, out_packets: 1, out_bytes: 42 });
  });

  it('reports waiting frames only when that is wanted', async () => {
    let kicks = 0;
    device.onKick = () => kicks++;
    expect(device.enableKick()).toBe(true);
    device.put(frames([request()]), ALL, 1);
    await until('a kick', () => kicks > 0);
    device.disableKick();
    expect(device.enableKick()).toBe(false);
    const before = kicks;
    expect((await takeOne()).length).toBe(42);
    await expectAnswer();
    expect(kicks).toBe(before);
  });

  it('keeps VLAN tags, which the kernel takes out of the frames that it delivers', async () => {
    const other = AfPacketDevice.open(cable.bringBack(), { reactor, windows });
    try {
      const tagged = [request('81002005'), request('88a80005'), request()];
      expect(other.put(frames(tagged), ALL, 3)).toBe(3);
      for (const frame of tagged) expect(await takeOne(1)).toEqual(frame);
    } finally {
      other.close();
      cable.unplug();
    }
  });

  it('drops frames that are longer than the interface takes, and no others', async () => {
    const [longest, longer] = [1514, 1515].map((bytes) => Buffer.concat([request(), Buffer.alloc(bytes - 42)]));
    expect(device.put(frames([longer!, longest!]), ALL, 2)).toBe(1);
    expect(device.refused).toBe(1);
    expect((await takeOne()).subarray(28, 32).toString('hex')).toBe('c0000201');
    cable.set('mtu', '9000');
    cable.kernel.ip('link', 'set', ETH, 'mtu', '9000');
    expect(device.problem).toBeNull();
    expect(device.put(frames([longer!]), ALL, 1)).toBe(1);
    expect(device.counters()).toMatchObject({ out_tooLong: 1, out_packets: 2 });
  });

  it('drops a packet that the kernel refuses, and sends the others of the burst', async () => {
    const burst = frames([request(), request(), request()]);
    device.close();
    device = AfPacketDevice.open(cable.name, { reactor, windows, offloads: 15 });
    // A checksum that is beyond the end: only a test can ask for it.
    burst.offloaded = 1;
    burst.flags[1] = CHECKSUM_PARTIAL;
    burst.csumStart[1] = 34;
    burst.csumOffset[1] = 40;
    for (const [at, byte] of [0x08, 0x00, 0x45].entries()) staging.window.u8[burst.segmentOffset[1]! + 12 + at] = byte;
    expect(device.put(burst, ALL, 3)).toBe(2);
    expect(device.refused).toBe(2);
    expect(device.counters()).toMatchObject({ out_errors: 1, out_packets: 2, out_bytes: 84 });
    await until('both answers', () => device.take(burst, MAX_BURST) === 2);
    device.complete();
  });

  it('says that the interface is down or without carrier, and works again', async () => {
    const { name } = cable;
    cable.set('down');
    expect(device.problem).toBe(`the interface ${name} is down: bring it up with 'ip link set ${name} up'`);
    expect(device.put(frames([request(), request()]), ALL, 2)).toBe(0);
    expect(device.refused & 3).toBe(3);
    expect(device.counters()).toMatchObject({ out_interfaceDown: 2, out_packets: 0, out_errors: 0 });
    cable.set('up');
    cable.kernel.ip('link', 'set', ETH, 'down');
    await until(
      'the lost carrier',
      () => device.problem?.startsWith(`the interface ${name} has no carrier: `) === true,
    );
    cable.kernel.ip('link', 'set', ETH, 'up');
    await until('the carrier', () => device.problem === null);
    await expectAnswer();
  });

  it('says that the interface is gone, and uses the next of that name', async () => {
    const { name } = cable;
    device.onKick = () => {};
    expect(device.enableKick()).toBe(true);
    cable.unplug();
    expect(device.problem).toBe(`the interface ${name} is gone; make it again, and it is used again`);
    expect(device.put(frames([request()]), ALL, 1)).toBe(0);
    device.disableKick();
    expect(device.take(new PacketBurst(staging.window), MAX_BURST)).toBe(0);
    cable.plug('192.0.2.1/24');
    await until('the new interface', () => device.problem === null);
    await expectAnswer();
    expect(device.counters()).toMatchObject({ out_interfaceDown: 1, in_packets: 1, out_packets: 1 });
  });

  it('uses an interface again that was in another namespace, and has its old number', async () => {
    const { name, kernel } = cable;
    ip('link', 'set', name, 'netns', kernel.name);
    expect(device.put(frames([request()]), ALL, 1)).toBe(0);
    kernel.ip('link', 'set', name, 'netns', String(process.pid));
    ip('link', 'set', name, 'up');
    await until('the interface', () => device.problem === null);
    await expectAnswer();
  });

  it('leaves an interface alone that was renamed, and uses the next of the old name', async () => {
    const { name } = cable;
    const [renamed, other] = [`${name}r`, `${name}o`];
    const promiscuity = (of: string): string => /promiscuity (\d+)/.exec(ip('-d', 'link', 'show', of))?.[1] ?? '';
    ip('link', 'set', name, 'down', 'name', renamed);
    try {
      expect(device.problem).toContain(`the interface ${name} is gone`);
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', other);
      try {
        expect(device.problem).toContain(`the interface ${name} is down`);
        expect([promiscuity(renamed), promiscuity(name)]).toEqual(['0', '1']);
      } finally {
        ip('link', 'del', name);
      }
    } finally {
      ip('link', 'del', renamed);
    }
  });

  it('counts the frames for which its ring had no room', async () => {
    cable.kernel.ip('neigh', 'add', '192.0.2.2', 'lladdr', '02:00:00:00:00:02', 'dev', ETH);
    const send = `const socket = require('node:dgram').createSocket('udp4');
      let left = 1500;
      const next = () => (left-- > 0 ? socket.send('x', 9, '192.0.2.2', next) : socket.close());
      next();`;
    expect((await cable.kernel.spawn(process.execPath, '-e', send).exited).code).toBe(0);
    const burst = new PacketBurst(staging.window);
    while (device.take(burst, MAX_BURST) > 0) device.complete();
    const { in_packets, in_kernelDropped } = device.counters() as { in_packets: number; in_kernelDropped: number };
    expect(in_kernelDropped).toBeGreaterThan(0);
    expect(in_packets + in_kernelDropped).toBe(1500);
    await expectAnswer();
  });

  it('leaves nothing behind', () => {
    const promiscuity = (): string => /promiscuity (\d+)/.exec(ip('-d', 'link', 'show', cable.name))?.[1] ?? '';
    const before = openFds();
    expect(promiscuity()).toBe('1');
    device.close();
    device.close();
    expect(promiscuity()).toBe('0');
    expect(openFds()).toBe(before - 1);
    const at = staging.offset + (1 << 21);
    expect(staging.window.u8.subarray(at, at + 4096).every((byte) => byte === 0)).toBe(true);
  });

  it('says why it cannot be opened', () => {
    const before = openFds();
    expect(() => AfPacketDevice.open('nowhere0', { reactor, windows })).toThrow(
      "af_packet nowhere0: there is no such interface ('ip link' lists those there are)",
    );
    expect(() => AfPacketDevice.open('lo', { reactor, windows })).toThrow(
      'af_packet lo: it is not an Ethernet interface',
    );
    expect(openFds()).toBe(before);
  });
});
