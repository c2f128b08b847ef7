/** What all ports have: events, warnings, `await using`, counters, and what `console.log` shows. */
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { init, type SinglePort } from '../../../src/index.js';
import { FakeDevice } from '../../../src/testing/fake-device.js';
import { arp, ethernet, icmpEcho, ipv4, OUR_IP, PEER_IP, udp } from '../../support/link/frames.js';
import { packetTo } from '../../support/link/test-core.js';
import { SteppedPort } from '../../support/threads/stepped-port.js';

const config = { device: 'vhost-user:/tmp/x.sock', ip: `${OUR_IP}/24` };

/** An address conflict, about which the layer warns. */
const twin = arp({ senderIp: OUR_IP });

async function open(device = new FakeDevice(), warn?: (line: string) => void): Promise<SinglePort> {
  return init(config, { openDevice: async () => device, ...(warn && { warn }) });
}

function provoke(port: SinglePort, device: FakeDevice): void {
  device.inject(twin);
  port.core().getRxCount();
}

describe('events of a port', () => {
  it('reach every listener until it is removed, and listeners of `once` only once', async () => {
    const device = new FakeDevice();
    const port = await open(device);
    const seen: string[] = [];
    const first = (state: 'up' | 'down', reason: string): void => void seen.push(`first ${state}: ${reason}`);
    expect(port.on('link', first)).toBe(port);
    port.once('link', (state) => seen.push(`once ${state}`));
    device.setLink(false);
    device.setLink(true);
    port.off('link', first);
    device.setLink(false);
    expect(seen).toEqual(['first down: the backend went', 'once down', 'first up: the backend came']);
    await port.stop();
  });

  it('end when it stops', async () => {
    const device = new FakeDevice();
    const port = await open(device);
    let events = 0;
    port.on('link', () => events++);
    await port.stop();
    device.setLink(false);
    expect(events).toBe(0);
  });

  it('include warnings; without a listener these go to warn', async () => {
    const device = new FakeDevice();
    const lines: string[] = [];
    const port = await open(device, (line) => lines.push(`warn: ${line}`));
    port.once('warning', (line) => lines.push(`event: ${line}`));
    provoke(port, device);
    expect(lines).toEqual([expect.stringMatching(/^event: .*10\.0\.0\.1/)]);
    await port.stop();

    const other = new FakeDevice();
    const silent = await open(other, (line) => lines.push(`warn: ${line}`));
    provoke(silent, other);
    expect(lines.slice(1)).toEqual([expect.stringMatching(/^warn: .*10\.0\.0\.1/)]);
    await silent.stop();
  });

  it('of warnings go to stderr without a listener and without warn', async () => {
    const device = new FakeDevice();
    const port = await open(device);
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      provoke(port, device);
      expect(write.mock.calls).toEqual([[expect.stringMatching(/^tspmd: .*10\.0\.0\.1.*\n$/)]]);
    } finally {
      write.mockRestore();
    }
    await port.stop();
  });
});

describe('the receive offloads of a port', () => {
  class SwitchableDevice extends FakeDevice {
    readonly switched: boolean[] = [];
    failure = '';

    async setReceiveOffloads(on: boolean): Promise<void> {
      if (this.failure !== '') throw new Error(this.failure);
      this.switched.push(on);
    }
  }

  it('are switched by the device, until the port stops', async () => {
    const device = new SwitchableDevice();
    const port = await open(device);
    await port.setReceiveOffloads(false);
    await port.setReceiveOffloads(true);
    expect(device.switched).toEqual([false, true]);
    await port.stop();
    await expect(port.setReceiveOffloads(false)).rejects.toMatchObject({ code: 'ERR_TSPMD_STATE' });
  });

  it('stay as they are when the device cannot switch them', async () => {
    const device = new SwitchableDevice();
    device.failure = '0000:00:04.0: receive offloads cannot be switched on: none was negotiated';
    const port = await open(device);
    await expect(port.setReceiveOffloads(true)).rejects.toMatchObject({
      code: 'ERR_TSPMD_DEVICE',
      message: device.failure,
    });
    await port.stop();
  });

  it('are none for a device without them', async () => {
    const port = await open();
    await expect(port.setReceiveOffloads(false)).rejects.toThrow('this kind of device has none');
    await port.stop();
  });
});

describe('await using', () => {
  it('stops the port at the end of its block', async () => {
    const device = new FakeDevice();
    {
      await using port = await open(device);
      expect(port.mode).toBe('single');
      expect(device.closed).toBe(false);
    }
    expect(device.closed).toBe(true);
  });
});

describe('held_by_stack', () => {
  it('is how many buffers the stack has taken, and neither released nor sent', async () => {
    const device = new FakeDevice();
    await using port = await open(device);
    const core = port.core();
    const held = (): number => port.counters().held_by_stack;
    expect(held()).toBe(0);
    for (let i = 0; i < 5; i++) device.inject(ethernet(ipv4([i])));
    expect(core.getRxCount()).toBe(5);
    expect(held()).toBe(0);
    const received = [core.getBufferRx()!, core.getBufferRx()!];
    const own = packetTo(core, PEER_IP);
    expect(held()).toBe(3);
    core.release(received[0]!);
    expect(held()).toBe(2);
    // A packet that is parked for ARP belongs to the layer.
    expect(core.addBufferToRing(own)).toBe(true);
    expect(held()).toBe(1);
    expect(port.status().cores[0]!.counters.held_by_stack).toBe(1);
  });
});

describe('console.log', () => {
  it('of a port, a core and a packet is one line each', async () => {
    const device = new FakeDevice();
    await using port = await open(device);
    const core = port.core();
    device.inject(ethernet(ipv4(udp([1, 2, 3], 1234, 7), { protocol: 17 })));
    device.inject(ethernet(ipv4(icmpEcho([1]), { protocol: 1 })));
    core.getRxCount();
    expect(inspect(port)).toBe('Port on fake: 10.0.0.1/24 at 52:54:00:00:00:01, mode single, one core');
    expect(inspect(core)).toBe('Core 0 of 1: 10.0.0.1 at 52:54:00:00:00:01, layer ip, MTU 1500, awake');
    const packet = core.getBufferRx()!;
    expect(inspect(packet)).toMatch(
      /^PacketBuffer \d+: 31 bytes, the stack's: UDP 10\.0\.0\.2:1234 > 10\.0\.0\.1:7; 45 00 00 1f( [0-9a-f]{2}){12} …$/,
    );
    expect(inspect(core.getBufferRx())).toMatch(/the stack's: IPv4 10\.0\.0\.2 > 10\.0\.0\.1 ICMP; 45 /);
    core.release(packet);
    expect(inspect(packet)).toContain(`31 bytes, not the stack's (released, sent or never taken): UDP`);
    const empty = core.getBufferTx()!;
    expect(inspect(empty)).toMatch(/^PacketBuffer \d+: 0 bytes, the stack's: empty, room for \d+ bytes$/);
  });

  it('of a frame names its addresses and its content', async () => {
    const device = new FakeDevice();
    await using port = await init({ ...config, layer: 'ethernet' }, { openDevice: async () => device });
    const core = port.core();
    device.inject(arp({ targetIp: OUR_IP }));
    device.inject(ethernet([1, 2, 3], { type: 0x88cc }));
    core.getRxCount();
    const [first, second] = [inspect(core.getBufferRx()), inspect(core.getBufferRx())];
    expect(first).toMatch(/: [0-9a-f:]{17} > [0-9a-f:]{17}, ARP request 10\.0\.0\.2 > 10\.0\.0\.1; /);
    expect(second).toMatch(/: [0-9a-f:]{17} > [0-9a-f:]{17}, EtherType 0x88cc; /);
  });

  it('of any bytes as a packet is one line', async () => {
    const device = new FakeDevice();
    await using port = await open(device);
    const packet = port.core().getBufferTx()!;
    for (const bytes of [[0x60], [0x45], [0x4f, ...new Array(19).fill(0)], new Array(64).fill(0xff)]) {
      packet.bytes.fill(0).set(bytes);
      for (const length of [bytes.length, 1e9, -1, Number.NaN]) {
        packet.length = length;
        expect(inspect(packet)).not.toContain('\n');
      }
    }
  });

  it('of a core with rings is one line, too', () => {
    const port = new SteppedPort({ stackCores: 2 });
    expect(inspect(port.cores[1])).toBe('Core 1 of 2: 10.0.0.1 at 52:54:00:00:00:01, layer ip, MTU 1500, awake');
  });
});
