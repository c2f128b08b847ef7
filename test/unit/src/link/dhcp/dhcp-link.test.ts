/** The DHCP client on the link, in all thread layouts: frames in, frames out, and `init` with `ip: 'dhcp'`. */
import { afterEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN } from '../../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED } from '../../../../../rings/packet-table.js';
import { init } from '../../../../../src/index.js';
import { FakeDevice } from '../../../../../src/testing/fake-device.js';
import type { InjectOptions } from '../../../../../src/testing/fake-entries.js';
import { formatIpv4 } from '../../../../../src/wire/address.js';
import {
  ACK,
  type Answer,
  answer,
  clientPayload,
  DISCOVER,
  OFFER,
  RELEASE,
  REQUEST,
  readClient,
  serverFrame,
} from '../../../../support/link/dhcp-server.js';
import {
  arp,
  BROADCAST,
  ethernet,
  ipv4,
  isArp,
  OTHER_MAC,
  OUR_MAC,
  PEER_MAC,
  udp,
} from '../../../../support/link/frames.js';
import { expectEveryFrameCounted, expectNoBufferLost, makeCore } from '../../../../support/link/test-core.js';
import { SteppedPort } from '../../../../support/threads/stepped-port.js';

/** A copy of a datagram whose checksum is not computed yet. */
function withoutSum(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy.set([0x12, 0x34], 40);
  return copy;
}

/** A server at the other end of a fake device: it answers each message when it is sent. */
class Server {
  readonly heard: number[] = [];
  readonly frames: Uint8Array[] = [];
  /** What it answers to the types of messages; others are not answered. */
  answers: Record<number, Partial<Answer>> = { [DISCOVER]: { type: OFFER }, [REQUEST]: { type: ACK } };
  /** What the device says of its datagrams, and whether their checksum is computed yet. */
  how: InjectOptions = {};
  isUnsummed = false;
  /** Where it sends its answers. */
  to: string | undefined;
  private readonly pending: Uint8Array[] = [];

  constructor(private readonly device: FakeDevice) {
    device.onFrame = (frame) => {
      const payload = clientPayload(frame);
      if (payload === null) return;
      const { type, xid } = readClient(payload);
      this.heard.push(type);
      this.frames.push(frame);
      const fields = this.answers[type];
      if (fields !== undefined) this.pending.push(serverFrame(answer({ type: 0, xid, ...fields }), this.to));
    };
  }

  /** Delivers the answers. Returns whether there were any. */
  deliver(): boolean {
    const frames = this.pending.splice(0);
    for (const frame of frames) this.device.inject(this.isUnsummed ? withoutSum(frame) : frame, this.how);
    return frames.length > 0;
  }
}

function makeClient(offloads = 0) {
  const changes: string[] = [];
  const failures: string[] = [];
  const t = makeCore(
    {
      ...{ address: 0, prefixLength: 0, dhcp: { onFailure: (reason: string) => void failures.push(reason) } },
      onAddress: ({ host, reason }) => void changes.push(`${formatIpv4(host.address)}: ${reason}`),
    },
    { offloads },
  );
  const server = new Server(t.device);
  const exchange = (): void => {
    t.core.flush();
    while (server.deliver()) {
      t.core.getRxCount();
      t.core.flush();
    }
  };
  return { ...t, server, changes, failures, exchange };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a core', () => {
  it.each([undefined, '255.255.255.255'])(
    'gets an address, whether answers go to it or to everybody (%s)',
    async (to) => {
      const t = makeClient();
      t.server.to = to;
      t.core.acquire();
      t.exchange();
      expect(t.core.address).toBe(0);
      t.pass(500);
      await turn();
      expect(t.changes).toEqual(['10.0.0.57: leased from 10.0.0.9']);
      expect(formatIpv4(t.core.address)).toBe('10.0.0.57');
      expect(t.core.lease).toMatchObject({ address: '10.0.0.57', seconds: 3600 });
      const arps = t.device.frames.filter(isArp);
      const probe = arp({ senderMac: OUR_MAC, senderIp: '0.0.0.0', targetIp: '10.0.0.57' });
      const announcement = arp({ senderMac: OUR_MAC, senderIp: '10.0.0.57', targetIp: '10.0.0.57' });
      expect(arps).toEqual([probe, probe, probe, announcement]);
      expect(t.core.counters()).toMatchObject({ rx_dhcp: 2, dhcp_received: 2, dhcp_sent: 2, rx_delivered: 0 });
      expect(t.server.frames.map((frame) => [...frame.slice(0, 12)])).toEqual([
        [...BROADCAST, ...OUR_MAC],
        [...BROADCAST, ...OUR_MAC],
      ]);
      expectEveryFrameCounted(t);
      expectNoBufferLost(t);
    },
  );

  it.each([
    ['not computed yet', CHECKSUM_PARTIAL, true],
    ['checked by the device', CHECKSUM_VERIFIED, false],
    ['wrong', 0, false],
  ])('reads an answer whose checksum is %s only if the device vouches for it', async (_, flags, isPartial) => {
    const t = makeClient(OFFLOAD_CHAIN);
    t.server.isUnsummed = true;
    t.server.how = { flags, ...(isPartial ? { csumStart: 34, csumOffset: 6 } : {}) };
    t.core.acquire();
    t.exchange();
    const isTaken = flags !== 0;
    expect(t.server.heard).toEqual(isTaken ? [DISCOVER, REQUEST] : [DISCOVER]);
    expect(t.core.counters()).toMatchObject({ dhcp_received: isTaken ? 2 : 0, dhcp_ignored: isTaken ? 0 : 1 });
    expectNoBufferLost(t);
  });

  it('renews and gives back by unicast, to the station that has answered', async () => {
    const t = makeClient();
    t.core.acquire();
    t.exchange();
    t.pass(500);
    await turn();
    t.device.frames.length = 0;
    t.pass(1_800_000);
    t.exchange();
    await turn();
    expect(t.server.heard).toEqual([DISCOVER, REQUEST, REQUEST]);
    const [renewal] = t.server.frames.slice(-1);
    expect([...renewal!.slice(0, 12)]).toEqual([...PEER_MAC, ...OUR_MAC]);
    expect([...renewal!.slice(26, 34)]).toEqual([10, 0, 0, 57, 10, 0, 0, 9]);
    expect(t.changes.slice(1)).toEqual(['10.0.0.57: renewed by 10.0.0.9']);
    // One announcement was left from the beginning; a renewal is no reason for another one.
    expect(t.device.frames.filter(isArp)).toHaveLength(1);
    t.core.giveBack();
    expect(t.server.heard.at(-1)).toBe(RELEASE);
    expectNoBufferLost(t);
  });

  it('declines an address that a station answers for, or probes itself', async () => {
    for (const station of [
      arp({ operation: 2, senderMac: OTHER_MAC, senderIp: '10.0.0.57', targetMac: OUR_MAC, targetIp: '0.0.0.0' }),
      arp({ senderMac: OTHER_MAC, senderIp: '0.0.0.0', targetIp: '10.0.0.57' }),
    ]) {
      const t = makeClient();
      t.core.acquire();
      t.exchange();
      // Our own probe comes back from a switch that floods: that is no conflict.
      t.device.inject(arp({ senderMac: OUR_MAC, senderIp: '0.0.0.0', targetIp: '10.0.0.57' }));
      t.device.inject(arp({ senderMac: OTHER_MAC, senderIp: '10.0.0.58', targetIp: '10.0.0.58' }));
      t.core.getRxCount();
      expect(t.warnings).toEqual([]);
      t.device.inject(station);
      t.core.getRxCount();
      t.exchange();
      expect(t.server.heard).toEqual([DISCOVER, REQUEST, 4]);
      expect(t.warnings).toEqual([expect.stringMatching(/is used by the station 52:54:00:00:00:03: declined$/)]);
      t.server.answers[DISCOVER] = { type: OFFER, address: '10.0.0.58' };
      t.server.answers[REQUEST] = { type: ACK, address: '10.0.0.58' };
      t.pass(10_100);
      t.exchange();
      t.pass(500);
      await turn();
      expect(t.changes).toEqual(['10.0.0.58: leased from 10.0.0.9']);
      expectNoBufferLost(t);
    }
  });

  it('takes port 68 before the stack, and only what is meant for it', () => {
    const t = makeClient();
    t.core.acquire();
    t.core.flush();
    const { xid } = readClient(clientPayload(t.device.frames[0]!)!);
    const payload = answer({ type: OFFER, xid });
    const datagram = udp([...payload], 67, 68, '10.0.0.9', '10.0.0.57');
    const fields = { source: '10.0.0.9', destination: '10.0.0.57', protocol: 17 };
    const frame = (damaged = -1, mac = OUR_MAC, source = PEER_MAC): Uint8Array => {
      const packet = ipv4(datagram, fields);
      if (damaged >= 0) packet[damaged]!++;
      return ethernet(packet, { destination: mac, source });
    };
    const bad: [string, Uint8Array][] = [
      ['dhcp_ignored', frame(30)],
      ['dhcp_ignored', frame(10)],
      ['dhcp_ignored', frame(25)],
      ['dhcp_ignored', serverFrame(payload.slice(0, 100))],
      ['dhcp_ignored', serverFrame(answer({ type: OFFER, xid: [0, 0, 0, 0] }))],
      ['rx_drop_other_mac', frame(-1, OTHER_MAC)],
      ['rx_drop_own_source', frame(-1, OUR_MAC, OUR_MAC)],
      ['rx_drop_no_address', ethernet(ipv4(udp([1], 53, 53), { protocol: 17 }))],
      ['rx_drop_no_address', ethernet(ipv4([...datagram], { ...fields, fragment: 0x2000 }))],
      ['rx_drop_ip_total_length', ethernet(ipv4([...datagram], { ...fields, totalLength: 2000 }).slice(0, 27))],
    ];
    for (const [counter, bytes] of bad) {
      const before = t.core.counters()[counter as 'rx_dhcp'];
      t.device.inject(bytes);
      expect(t.core.getRxCount()).toBe(0);
      expect([counter, t.core.counters()[counter as 'rx_dhcp']]).toEqual([counter, before + 1]);
    }
    expect(t.server.heard).toEqual([DISCOVER]);
    t.device.inject(frame());
    t.core.getRxCount();
    t.core.flush();
    expect(t.server.heard).toEqual([DISCOVER, REQUEST]);
    expectEveryFrameCounted(t);
    expectNoBufferLost(t);
  });

  it('goes on when no buffer is free for a message', () => {
    const t = makeClient();
    const { pool } = t.device;
    const taken: number[] = [];
    while (pool.available > 0) taken.push(pool.get());
    t.core.acquire();
    expect(t.core.counters().dhcp_not_sent).toBe(1);
    for (const handle of taken) pool.put(handle);
    t.pass(6000);
    expect(t.server.heard).toEqual([DISCOVER]);
  });

  it('leaves port 68 to the stack when the address is configured', () => {
    const t = makeCore();
    t.device.inject(ethernet(ipv4(udp([1], 67, 68), { protocol: 17 })));
    expect(t.core.getRxCount()).toBe(1);
  });
});

describe.each(['1kb', '2kb'] as const)('%s', (mode) => {
  it('acquires in the Rx worker, for all cores', () => {
    const port = new SteppedPort({ mode, stackCores: 2, ip: 'dhcp' });
    const server = new Server(port.device);
    port.rx.link.acquire();
    const exchange = (): void => {
      do port.settle();
      while (server.deliver());
    };
    exchange();
    expect(port.cores.map(({ address }) => address)).toEqual([0, 0]);
    port.pass(500);
    expect(port.addresses).toMatchObject([{ lease: { address: '10.0.0.57' }, reason: 'leased from 10.0.0.9' }]);
    expect(port.cores.map(({ address }) => formatIpv4(address))).toEqual(['10.0.0.57', '10.0.0.57']);
    port.rx.link.release();
    exchange();
    expect(server.heard).toEqual([DISCOVER, REQUEST, RELEASE]);
    expect(port.counted()).toMatchObject({ rx_dhcp: 2, rx_delivered: 0, dhcp_sent: 3 });
  });
});

describe("init with ip: 'dhcp'", () => {
  const config = { device: 'vhost-user:/fake', ip: 'dhcp' } as const;
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  /** A device whose server answers when the core sleeps; its clock jumps to whatever is due. */
  function world(answers?: Server['answers']) {
    const device = new FakeDevice();
    const server = new Server(device);
    if (answers !== undefined) server.answers = answers;
    const time = { now: 0 };
    const pump = setInterval(() => {
      time.now += 50;
      if (!server.deliver()) device.interrupt();
    }, 1);
    stops.push(async () => clearInterval(pump));
    return { server, options: { openDevice: async () => device, clock: () => time.now, warn: () => {} }, device };
  }

  it('waits for the lease, obeys its MTU, and gives it back at the end', async () => {
    const more = { 26: [5, 120], 3: [10, 0, 0, 254] };
    const { server, options } = world({ [DISCOVER]: { type: OFFER }, [REQUEST]: { type: ACK, more } });
    const port = await init(config, options);
    expect(port.address).toEqual({ address: '10.0.0.57', prefixLength: 24, gateway: '10.0.0.254' });
    expect(port.lease).toMatchObject({ address: '10.0.0.57', server: '10.0.0.9', mtu: 1400 });
    expect(port.core().lease).toEqual(port.lease);
    expect(port.core().mtu).toBe(1400);
    const buffer = port.core().getBufferTx()!;
    buffer.length = 1401;
    buffer.bytes.set(ipv4([]));
    port.core().addBufferToRing(buffer);
    expect(port.counters().tx_drop_length).toBe(1);
    await expect(port.setAddress('10.0.0.5/24')).rejects.toThrow('DHCP');
    await port.stop();
    expect(server.heard).toEqual([DISCOVER, REQUEST, RELEASE]);
  });

  it('rejects with one line when no server answers within 30 s', async () => {
    const { options, device } = world({});
    await expect(init(config, options)).rejects.toMatchObject({
      ...{ name: 'LeaseError', code: 'ERR_TSPMD_LEASE' },
      message: expect.stringMatching(
        /^vhost-user:\/fake: no address by DHCP within 30 s: no DHCP server has answered; /,
      ),
    });
    expect(device.closed).toBe(true);
  });

  it('rejects when it is told to stop before', async () => {
    const { options, device } = world({});
    const stop = new AbortController();
    const opening = init(config, { ...options, signal: stop.signal });
    setTimeout(() => stop.abort(), 5);
    await expect(opening).rejects.toMatchObject({ code: 'ERR_TSPMD_ABORTED' });
    expect(device.closed).toBe(true);
  });

  it('tells the listeners of the lease and of changes of the address', async () => {
    const { server, options } = world({ [DISCOVER]: { type: OFFER }, [REQUEST]: { type: ACK, lease: 40 } });
    const port = await init(config, options);
    const seen: string[] = [];
    port.on('address', ({ address }, reason) => seen.push(`address ${address} ${reason}`));
    port.on('lease', (lease, reason) => seen.push(`lease ${lease?.address} ${reason}`));
    const core = port.core();
    const until = async (count: number): Promise<void> => {
      while (seen.length < count) await core.waitForPackets({ timeoutMs: 1 });
    };
    await until(1);
    expect(seen).toEqual(['lease 10.0.0.57 renewed by 10.0.0.9']);
    server.answers = {
      [DISCOVER]: { type: OFFER, address: '10.0.0.58' },
      [REQUEST]: { type: 6, address: '0.0.0.0', lease: null, mask: null },
    };
    await until(3);
    expect(port.address).toEqual({ address: '0.0.0.0', prefixLength: 0, gateway: null });
    server.answers[REQUEST] = { type: ACK, address: '10.0.0.58' };
    await until(5);
    expect(seen.slice(1)).toEqual([
      ...['address 0.0.0.0 10.0.0.9 does not renew the lease', 'lease undefined 10.0.0.9 does not renew the lease'],
      ...['address 10.0.0.58 leased from 10.0.0.9', 'lease 10.0.0.58 leased from 10.0.0.9'],
    ]);
    await port.stop();
  });

  it.each([
    [{ gateway: '10.0.0.254' }, /gateway: with ip 'dhcp' the server names the router/],
    [{ layer: 'ethernet' }, /ip: 'dhcp' does not work with an app that takes frames/],
    [{ app: 'macswap' }, /ip: 'dhcp' does not work with an app that takes frames/],
  ] as const)('does not go with %j', async (more, message) => {
    await expect(init({ ...config, ...more }, world().options)).rejects.toThrow(message);
  });
});
