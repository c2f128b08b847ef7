/** The address of a port changes while it runs: `port.setAddress`, in all thread layouts, and what the stack makes of it. */
import { afterEach, describe, expect, it } from 'vitest';
import type { AddressChange } from '../../../src/link/dhcp/lease.js';
import type { SingleCore } from '../../../src/link/single-core.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import { type FakePort, openFakePort } from '../../../src/testing/index.js';
import { formatIpv4, parseIpv4 } from '../../../src/wire/address.js';
import { ipv4Source } from '../../../src/wire/ipv4.js';
import { arp, ethernet, icmpEcho, ipv4, isArp } from '../../support/link/frames.js';
import { PortLab } from '../../support/threads/port-lab.js';
import { SteppedPort } from '../../support/threads/stepped-port.js';
import { until } from '../../support/until.js';

const open: FakePort[] = [];
afterEach(async () => {
  for (const net of open.splice(0)) await net.stop();
});

async function fakePort(ip: string, gateway?: string): Promise<FakePort> {
  const net = await openFakePort({ ip, ...(gateway === undefined ? {} : { gateway }) });
  open.push(net);
  return net;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('setAddress of a port with one core', () => {
  it('takes packets to the new address only, and announces it twice', async () => {
    const net = await fakePort('10.0.0.1/24');
    net.pass(3000);
    net.device.frames.length = 0;
    await net.port.setAddress('10.0.0.5/24');
    expect(formatIpv4(net.core.address)).toBe('10.0.0.5');
    net.pass(3000);
    const announced = arp({ senderMac: [...net.port.mac], senderIp: '10.0.0.5', targetIp: '10.0.0.5' });
    expect(net.device.frames.filter(isArp)).toEqual([announced, announced]);
    net.inject(Uint8Array.from(ipv4([1], { destination: '10.0.0.1' })));
    expect(net.core.getRxCount()).toBe(0);
    net.inject(Uint8Array.from(ipv4([2], { destination: '10.0.0.5' })));
    expect(net.core.getRxCount()).toBe(1);
    net.core.release(net.core.getBufferRx()!);
    expect(net.port.counters().rx_drop_other_ip).toBe(1);
  });

  it('answers ARP for the new address, and not for the old one', async () => {
    const net = await fakePort('10.0.0.1/24');
    await net.port.setAddress('10.0.0.5/24');
    net.device.frames.length = 0;
    for (const targetIp of ['10.0.0.1', '10.0.0.5']) net.device.inject(arp({ targetIp }));
    net.core.getRxCount();
    expect(net.device.frames).toHaveLength(1);
    expect(net.port.counters().arp_answered).toBe(1);
  });

  it('sends beyond the new link by the new gateway', async () => {
    const net = await fakePort('10.0.0.1/24', '10.0.0.254');
    await net.port.setAddress('192.0.2.5/28', { gateway: '192.0.2.1' });
    expect(net.port.address).toEqual({ address: '192.0.2.5', prefixLength: 28, gateway: '192.0.2.1' });
    for (const destination of ['192.0.2.14', '10.0.0.2']) {
      const buffer = net.core.getBufferTx()!;
      const packet = ipv4([1], { source: '192.0.2.5', destination });
      buffer.bytes.set(packet);
      buffer.length = packet.length;
      net.core.addBufferToRing(buffer);
    }
    net.sent();
    await turn();
    const macs = net.device.frames.filter((frame) => !isArp(frame)).map((frame) => [...frame.slice(2, 6)].join('.'));
    expect(macs).toEqual(['192.0.2.14', '192.0.2.1']);
    await net.port.setAddress('192.0.2.6/28');
    expect(net.core.nextHopMac(parseIpv4('10.0.0.2'))).toBeNull();
    expect(net.port.address.gateway).toBeNull();
  });

  it('tells the listeners, and wakes a core that sleeps', async () => {
    const net = await fakePort('10.0.0.1/24');
    const seen: unknown[] = [];
    net.port.on('address', (address, reason) => seen.push([address, reason]));
    net.port.on('lease', (lease) => seen.push(lease));
    const sleep = net.core.waitForPackets();
    await net.port.setAddress('10.0.0.5/24');
    expect(await sleep).toBe(0);
    await net.port.setAddress('10.0.0.5/24');
    const address = { address: '10.0.0.5', prefixLength: 24, gateway: null };
    expect(seen).toEqual([[address, 'set by the program']]);
  });

  it.each([
    ['10.0.0.0/24', undefined, /10\.0\.0\.0 in '10\.0\.0\.0\/24' is the network's own address/],
    ['10.0.0.5', undefined, /has no prefix length/],
    ['10.0.0.5/24', '10.0.1.1', /gateway: 10\.0\.1\.1 is not on the link of 10\.0\.0\.5\/24/],
    ['10.0.0.5/24', '10.0.0.5', /gateway: 10\.0\.0\.5 is our own address/],
  ])('refuses %s with gateway %s', async (ip, gateway, message) => {
    const net = await fakePort('10.0.0.1/24');
    await expect(net.port.setAddress(ip, gateway === undefined ? {} : { gateway })).rejects.toThrow(message);
    expect(net.port.address.address).toBe('10.0.0.1');
  });

  it('refuses after the end, and with layer ethernet', async () => {
    const net = await fakePort('10.0.0.1/24');
    await net.stop();
    await expect(net.port.setAddress('10.0.0.5/24')).rejects.toThrow('was stopped');
    const frames = await openFakePort({ ip: '10.0.0.1/24', layer: 'ethernet' });
    open.push(frames);
    await expect(frames.port.setAddress('10.0.0.5/24')).rejects.toThrow("layer 'ethernet'");
  });
});

const none: AddressChange = { host: { address: 0, prefixLength: 0 }, lease: null, reason: 'test' };

function loseAddress(net: FakePort): void {
  (net.core as SingleCore).setAddress(none);
}

describe('the TCP/IP stack', () => {
  it('ends connections with ECONNRESET, keeps listeners, and uses the new address', async () => {
    const [here, there] = [await fakePort('10.0.0.1/24'), await fakePort('10.0.0.2/24')];
    const [server, client] = [new TcpIp(here.core), new TcpIp(there.core)];
    const events: string[] = [];
    server.tcp.listen(
      { port: 7 },
      {
        open: (c) => void events.push(`open at ${c.localAddress}`),
        close: (_, error) => void events.push(`close ${error?.message}`),
      },
    );
    const exchange = (): number => {
      const count = server.poll() + client.poll();
      const [out, back] = [here.sent(), there.sent()];
      for (const packet of out) there.inject(packet);
      for (const packet of back) here.inject(packet);
      return count + out.length + back.length;
    };
    const settle = (): void => {
      while (exchange() > 0);
    };
    const connect = (address: string): void => {
      client.tcp.connect({ address, port: 7 }, {});
      settle();
    };
    connect('10.0.0.1');
    expect(events).toEqual(['open at 10.0.0.1']);
    await here.port.setAddress('10.0.0.5/24');
    server.poll();
    expect(events.slice(1)).toEqual([
      expect.stringMatching(
        /^close ECONNRESET: 10\.0\.0\.2:\d+: 10\.0\.0\.1 is no longer our address, which is 10\.0\.0\.5 now$/,
      ),
    ]);
    // The old address is not ours any more: nothing is sent from it.
    expect(here.sent()).toEqual([]);
    expect(server.report().tcp_connections).toBe(0);
    connect('10.0.0.5');
    expect(events[2]).toBe('open at 10.0.0.5');

    // The other way round: our own connections and datagrams come from the new address.
    client.tcp.listen({ port: 9 }, {});
    server.tcp.connect({ address: '10.0.0.2', port: 9 }, { open: (c) => void events.push(`to ${c.localAddress}`) });
    settle();
    expect(events[3]).toBe('to 10.0.0.5');
    const socket = server.udp.bind({ port: 5000 }, {});
    socket.send(Uint8Array.of(1), 0, 1, parseIpv4('10.0.0.2'), 6000);
    const [datagram] = here.sent();
    expect(formatIpv4(ipv4Source(datagram!, 0))).toBe('10.0.0.5');
  });

  it('lets a handler of an ended connection open another one at once', async () => {
    const net = await fakePort('10.0.0.1/24');
    const stack = new TcpIp(net.core);
    let opened = 0;
    const again = { close: () => void (opened++ < 3 && stack.tcp.connect({ address: '10.0.0.2', port: 80 }, again)) };
    stack.tcp.connect({ address: '10.0.0.2', port: 80 }, again);
    stack.poll();
    net.sent();
    await net.port.setAddress('10.0.0.5/24');
    stack.poll();
    expect(opened).toBe(1);
    expect(stack.report().tcp_connections).toBe(1);
    const [syn] = net.sent();
    expect(formatIpv4(ipv4Source(syn!, 0))).toBe('10.0.0.5');
  });

  it('cannot connect while there is no address', async () => {
    const net = await fakePort('10.0.0.1/24');
    const stack = new TcpIp(net.core);
    loseAddress(net);
    stack.poll();
    expect(() => stack.tcp.connect({ address: '10.0.0.2', port: 80 }, {})).toThrow(
      'ENETUNREACH: connect: 10.0.0.2 cannot be reached, because we have no address',
    );
  });
});

describe('an address that is not on the link', () => {
  it('is reached by a gateway only', async () => {
    const net = await fakePort('10.0.0.1/24');
    const stack = new TcpIp(net.core);
    const connect = () => stack.tcp.connect({ address: '192.0.2.1', port: 80 }, {});
    expect(connect).toThrow(
      'ENETUNREACH: connect: 192.0.2.1 cannot be reached, because it is not on the link: set a gateway',
    );
    await net.port.setAddress('10.0.0.1/24', { gateway: '10.0.0.9' });
    stack.poll();
    expect(connect).not.toThrow();
    stack.stop();
  });
});

describe('without an address', () => {
  it.each(['10.0.0.1', '0.0.0.0', '255.255.255.255'])(
    'no packet to %s gets in, and none goes out',
    async (destination) => {
      const net = await openFakePort({ ip: '10.0.0.1/24', acceptBroadcast: true });
      open.push(net);
      loseAddress(net);
      net.device.frames.length = 0;
      net.device.inject(ethernet(ipv4(icmpEcho([1]), { protocol: 1, destination })));
      expect(net.core.getRxCount()).toBe(0);
      expect(net.port.counters().rx_drop_no_address).toBe(1);
      const buffer = net.core.getBufferTx()!;
      const packet = ipv4([1], { source: '0.0.0.0', destination });
      buffer.bytes.set(packet);
      buffer.length = packet.length;
      net.core.addBufferToRing(buffer);
      // Neither an ARP probe of another station nor a question about 0.0.0.0 is answered.
      net.device.inject(arp({ senderIp: '0.0.0.0', targetIp: '10.0.0.1' }));
      net.device.inject(arp({ targetIp: '0.0.0.0' }));
      net.pass(5000);
      net.core.getRxCount();
      expect(net.device.frames).toEqual([]);
      expect(net.warnings).toEqual([]);
      expect(net.port.counters()).toMatchObject({ tx_drop_no_route: 1, arp_not_for_us: 2, arp_conflict_ip: 0 });
    },
  );
});

describe.each(['1kb', '2kb'] as const)('setAddress with %s', (mode) => {
  it('reaches the filter and all cores by shared memory', () => {
    const port = new SteppedPort({ mode, stackCores: 2 });
    port.rx.link.setAddress({ host: { address: parseIpv4('10.0.0.5'), prefixLength: 24 }, lease: null, reason: '' });
    expect(port.cores.map(({ address }) => formatIpv4(address))).toEqual(['10.0.0.5', '10.0.0.5']);
    expect(port.cores[0]!.isBroadcast(parseIpv4('10.0.0.255'))).toBe(true);
    port.device.inject(ethernet(ipv4([1], { destination: '10.0.0.1' })));
    port.device.inject(ethernet(ipv4([1], { destination: '10.0.0.5' })));
    port.settle();
    expect(port.counted()).toMatchObject({ rx_delivered: 1, rx_drop_other_ip: 1 });
  });

  it('changes the address of a port with real threads, and tells its listeners', async () => {
    const lab = new PortLab();
    lab.listen();
    try {
      const port = await lab.open({ mode });
      const stop = new AbortController();
      const running = port.run(stop.signal);
      await lab.introduce();
      await lab.everyFlowAnswers();
      const seen: string[] = [];
      port.on('address', ({ address }, reason) => seen.push(`${address} ${reason}`));
      await port.setAddress('10.0.0.5/24');
      expect(seen).toEqual(['10.0.0.5 set by the program']);
      expect(port.address.address).toBe('10.0.0.5');
      // The flows still go to 10.0.0.1, which is another host now.
      lab.sendTo(1);
      await until('the packet is dropped', () => port.counters().rx_drop_other_ip > 0, lab.receive);
      await port.setAddress('10.0.0.1/24');
      await lab.everyFlowAnswers();
      stop.abort();
      await running;
      await expect(port.setAddress('10.0.0.5/24')).rejects.toThrow('was stopped');
    } finally {
      await lab.close();
    }
  });
});
