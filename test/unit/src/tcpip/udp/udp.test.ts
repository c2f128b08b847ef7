/** UDP sockets (RFC 768; RFC 1122, 4.1): who gets what, what is sent, what errors come. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NetError } from '../../../../../src/tcpip/errors.js';
import { Ip } from '../../../../../src/tcpip/ip/ip.js';
import type { UdpBindOptions, UdpHandlers, UdpSocket } from '../../../../../src/tcpip/udp/socket.js';
import { Udp } from '../../../../../src/tcpip/udp/udp.js';
import { formatIpv4, parseIpv4 } from '../../../../../src/wire/address.js';
import { udp as datagram, ipv4, OUR_IP, PEER_IP } from '../../../../support/link/frames.js';
import { icmpError } from '../../../../support/tcpip/icmp-error.js';
import { type IpFixture, openIp } from '../../../../support/tcpip/ip-fixture.js';

const PEER = parseIpv4(PEER_IP);
const OTHER_IP = '10.0.0.9';

interface Message {
  socket: UdpSocket;
  payload: number[];
  from: string;
}

let fixture: IpFixture;
let udp: Udp;
let messages: Message[];
let errors: { socket: UdpSocket; error: NetError }[];

const handlers: UdpHandlers = {
  message(socket, bytes, offset, length, address, port) {
    const payload = [...bytes.subarray(offset, offset + length)];
    messages.push({ socket, payload, from: `${formatIpv4(address)}:${port}` });
  },
  error(socket, error) {
    errors.push({ socket, error });
  },
};

beforeEach(async () => {
  const neighbours = { [PEER_IP]: '02:00:0a:00:00:02' };
  fixture = await openIp({}, { acceptBroadcast: true, acceptMulticast: true, neighbours });
  udp = new Udp(fixture.net.core, fixture.ip, { maxSockets: 8 });
  messages = [];
  errors = [];
});

afterEach(async () => {
  expect(fixture.net.held).toBe(0);
  await fixture.net.stop();
});

const bind = (options: UdpBindOptions): UdpSocket => udp.bind(options, handlers);

/** A datagram to us. */
function toUs(payload: number[], sourcePort: number, port: number, source = PEER_IP, destination = OUR_IP): number[] {
  return ipv4(datagram(payload, sourcePort, port, source, destination), { protocol: 17, source, destination });
}

const payloads = (): number[][] => messages.map(({ payload }) => payload);

const counted = (): Record<string, number> =>
  Object.fromEntries(Object.entries(udp.report()).filter(([, value]) => value !== 0));

describe('a bound socket', () => {
  it('receives what comes to its port, with the address of the sender', () => {
    const socket = bind({ port: 53 });
    fixture.exchange(toUs([1, 2, 3], 999, 53), toUs([], 7, 53, OTHER_IP));
    expect(messages.map(({ payload, from }) => [payload, from])).toEqual([
      [[1, 2, 3], `${PEER_IP}:999`],
      [[], `${OTHER_IP}:7`],
    ]);
    expect(socket.received).toBe(2);
    expect(counted()).toEqual({ udp_rx: 2, udp_sockets: 1 });
  });

  // Clauses: 1122-4.1.3.4a
  it('receives datagrams without a checksum, but none with a wrong one', () => {
    bind({ port: 53 });
    const without = toUs([1], 999, 53);
    without[26] = 0;
    without[27] = 0;
    const wrong = toUs([2], 999, 53);
    wrong[28]! ^= 1;
    fixture.exchange(without, wrong);
    expect(payloads()).toEqual([[1]]);
    expect(counted()).toMatchObject({ udp_drop_malformed: 1 });
  });

  it.each([
    ['beyond the packet', 10],
    ['below 8', 7],
  ])('refuses a length %s', (_, length) => {
    bind({ port: 53 });
    const packet = toUs([1], 999, 53);
    packet[25] = length;
    packet[26] = 0;
    packet[27] = 0;
    fixture.exchange(packet);
    expect(counted()).toEqual({ udp_drop_malformed: 1, udp_sockets: 1 });
  });

  it('does not receive bytes behind the length of the datagram', () => {
    bind({ port: 53 });
    const packet = ipv4([...datagram([5], 999, 53), 6, 6, 6], { protocol: 17 });
    fixture.exchange(packet);
    expect(payloads()).toEqual([[5]]);
  });

  it('receives broadcasts and multicasts, unless it is bound to our address', () => {
    bind({ port: 53 });
    bind({ port: 54, address: OUR_IP });
    for (const destination of ['10.0.0.255', '224.0.0.251']) {
      for (const port of [53, 54]) expect(fixture.exchange(toUs([1], 9, port, PEER_IP, destination))).toEqual([]);
    }
    expect(messages.map(({ socket }) => socket.localPort)).toEqual([53, 53]);
    expect(counted()).toMatchObject({ udp_drop_no_port: 2 });
    fixture.exchange(toUs([1], 9, 54));
    expect(payloads()).toHaveLength(3);
  });

  it('without a handler for messages counts them', () => {
    udp.bind({ port: 53 }, {});
    fixture.exchange(toUs([1], 9, 53));
    expect(counted()).toEqual({ udp_drop_no_handler: 1, udp_sockets: 1 });
  });

  it('receives nothing any more when it is closed, and its port is free', () => {
    const socket = bind({ port: 53 });
    socket.close();
    socket.close();
    expect(fixture.exchange(toUs([1], 9, 53))).toHaveLength(1);
    expect(payloads()).toEqual([]);
    bind({ port: 53 });
    expect(() => socket.send(Uint8Array.of(1), 0, 1, PEER, 7)).toThrow(/^EINVAL: send: the socket is closed$/);
    expect(() => socket.connect(PEER_IP, 7)).toThrow(/^EINVAL: connect: the socket is closed$/);
  });

  it('may close itself and open others while it handles a message', () => {
    let opened: UdpSocket | null = null;
    udp.bind(
      { port: 53 },
      {
        message(socket) {
          socket.close();
          opened = bind({ port: 53 });
        },
      },
    );
    fixture.exchange(toUs([1], 9, 53), toUs([2], 9, 53));
    expect(messages.map(({ payload, socket }) => [payload, socket === opened])).toEqual([[[2], true]]);
  });

  it('can be reassembled from fragments', () => {
    bind({ port: 53 });
    const payload = Array.from({ length: 100 }, (_, i) => i);
    const whole = datagram(payload, 999, 53);
    fixture.exchange(
      ipv4(whole.slice(64), { protocol: 17, fragment: 8 }),
      ipv4(whole.slice(0, 64), { protocol: 17, fragment: 0x2000 }),
    );
    expect(payloads()).toEqual([payload]);
  });
});

describe('binding', () => {
  it('takes a port until the last socket of it is closed', () => {
    expect(udp.isBound(53)).toBe(false);
    const sockets = [bind({ port: 53 }), bind({ port: 53, peer: { address: PEER_IP, port: 7 } })];
    for (const socket of sockets) {
      expect(udp.isBound(53)).toBe(true);
      socket.close();
    }
    expect(udp.isBound(53)).toBe(false);
  });

  it('refuses a port that is taken', () => {
    bind({ port: 53 });
    expect(() => bind({ port: 53 })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
  });

  it('refuses addresses that are not ours, and ports that do not exist', () => {
    expect(() => bind({ port: 1, address: OTHER_IP })).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }));
    for (const port of [-1, 65536, 1.5, Number.NaN]) {
      expect(() => bind({ port })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    }
    expect(() => bind({ peer: { address: PEER_IP, port: 0 } })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => bind({ peer: { address: '0.0.0.0', port: 1 } })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(udp.sockets).toBe(0);
  });

  it('chooses free ports', () => {
    const ports = Array.from({ length: 8 }, () => bind({}).localPort);
    expect(new Set(ports).size).toBe(8);
    for (const port of ports) {
      expect(port).toBeGreaterThanOrEqual(32768);
      expect(port).toBeLessThanOrEqual(60999);
    }
  });

  it('refuses more sockets than are allowed', () => {
    const sockets = Array.from({ length: 8 }, () => bind({}));
    expect(() => bind({})).toThrow(expect.objectContaining({ code: 'ENOBUFS' }));
    sockets[0]!.close();
    bind({});
    expect(udp.sockets).toBe(8);
  });
});

describe('a connected socket', () => {
  it('gets what comes from its peer, before the socket that takes all', () => {
    const all = bind({ port: 53 });
    const one = bind({ port: 53, peer: { address: PEER_IP, port: 7 } });
    const two = bind({ port: 53, peer: { address: PEER_IP, port: 8 } });
    fixture.exchange(toUs([1], 7, 53), toUs([2], 8, 53), toUs([3], 9, 53), toUs([4], 7, 53, OTHER_IP));
    expect(messages.map(({ socket }) => [one, two, all].indexOf(socket))).toEqual([0, 1, 2, 2]);
    one.close();
    fixture.exchange(toUs([5], 7, 53));
    expect(messages.at(-1)!.socket === all).toBe(true);
    all.close();
    fixture.exchange(toUs([6], 8, 53));
    expect(messages.at(-1)!.socket === two).toBe(true);
  });

  it('alone at its port receives from nobody else', () => {
    bind({ port: 53 }).connect(PEER_IP, 7);
    const [unreachable] = fixture.exchange(toUs([1], 8, 53));
    expect([...unreachable!.subarray(20, 22)]).toEqual([3, 3]);
    fixture.exchange(toUs([2], 7, 53));
    expect(payloads()).toEqual([[2]]);
  });

  it('shows its peer, and may be connected anew', () => {
    const socket = bind({ port: 53 });
    expect([socket.remoteAddress, socket.remotePort]).toEqual([null, null]);
    socket.connect(PEER_IP, 7);
    expect([socket.remoteAddress, socket.remotePort]).toEqual([PEER_IP, 7]);
    socket.connect(OTHER_IP, 8);
    expect([socket.remoteAddress, socket.remotePort, udp.sockets]).toEqual([OTHER_IP, 8, 1]);
    const other = bind({ port: 53, peer: { address: PEER_IP, port: 7 } });
    expect(() => other.connect(OTHER_IP, 8)).toThrow(/EADDRINUSE: connect: .* 53 with the peer 10.0.0.9:8$/);
  });

  it('receives from everybody again when it is disconnected, and keeps its port', () => {
    const socket = bind({ port: 53, peer: { address: PEER_IP, port: 7 } });
    socket.disconnect();
    socket.disconnect();
    expect([socket.remoteAddress, socket.remotePort, socket.localPort, udp.sockets]).toEqual([null, null, 53, 1]);
    fixture.exchange(toUs([1], 7, 53), toUs([2], 8, 53, OTHER_IP));
    expect(payloads()).toEqual([[1], [2]]);
    expect(() => socket.send(Uint8Array.of(1))).toThrow(/^EINVAL: send: port 0/);
    const other = bind({ port: 53, peer: { address: PEER_IP, port: 7 } });
    expect(() => other.disconnect()).toThrow(/^EADDRINUSE: disconnect: another socket has UDP port 53$/);
    expect(other.remotePort).toBe(7);
    other.close();
    expect(() => other.disconnect()).toThrow(/^EINVAL: disconnect: the socket is closed$/);
  });

  it('sends without an address', () => {
    const socket = bind({ port: 53, peer: { address: PEER_IP, port: 7 } });
    expect(socket.send(Uint8Array.of(1, 2))).toBe(true);
    const [packet] = fixture.net.sent();
    expect([...packet!.subarray(20)]).toEqual(datagram([1, 2], 53, 7, OUR_IP, PEER_IP));
  });

  it('gets a port whose answers come to this core, if the stack chooses it', () => {
    const { core } = fixture.net;
    // Of four cores this is the first; each flow comes to one of them by its local port.
    const steered: typeof core = Object.create(core, {
      rssCoreForPorts: { value: (_source: number, _destination: number, _port: number, local: number) => local % 4 },
    });
    const own = new Udp(steered, fixture.ip, {});
    for (let i = 0; i < 20; i++) {
      expect(own.bind({ peer: { address: PEER_IP, port: 7 } }, handlers).localPort % 4).toBe(0);
      const later = own.bind({}, handlers);
      later.connect(PEER_IP, 9);
      expect(later.localPort % 4).toBe(0);
    }
    const fixed = own.bind({ port: 33 }, handlers);
    fixed.connect(PEER_IP, 9);
    expect(fixed.localPort).toBe(33);
  });
});

describe('sending', () => {
  // Clauses: 1122-4.1.3.4b
  it('copies part of an array into a datagram', () => {
    const socket = bind({ port: 5 });
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i);
    for (const [offset, length] of [
      [0, 300],
      [3, 2],
      [10, 200],
      [0, 0],
    ] as const) {
      expect(socket.send(bytes, offset, length, PEER, 6)).toBe(true);
      const [packet] = fixture.net.sent();
      const payload = [...bytes.subarray(offset, offset + length)];
      expect([...packet!.subarray(20)]).toEqual(datagram(payload, 5, 6, OUR_IP, PEER_IP));
    }
    expect(socket.sent).toBe(4);
    expect(counted()).toEqual({ udp_tx: 4, udp_sockets: 1 });
  });

  it('copies a received datagram, as an echo server does', () => {
    udp.bind(
      { port: 7 },
      {
        message: (socket, bytes, offset, length, address, port) =>
          void socket.send(bytes, offset, length, address, port),
      },
    );
    const payload = Array.from({ length: 701 }, (_, i) => i & 0xff);
    const [packet] = fixture.exchange(toUs(payload, 99, 7));
    expect([...packet!.subarray(20)]).toEqual(datagram(payload, 7, 99, OUR_IP, PEER_IP));
  });

  it('refuses what is too long, outside of the array, or without a receiver', () => {
    const socket = bind({ port: 5 });
    const bytes = new Uint8Array(70_000);
    expect(() => socket.send(bytes, 0, 65_508, PEER, 6)).toThrow(/^EMSGSIZE: send: 65508 bytes/);
    for (const [offset, length] of [
      [-1, 1],
      [0, 70_001],
      [70_000, 1],
      [Number.NaN, 1],
    ] as const) {
      expect(() => socket.send(bytes, offset, length, PEER, 6)).toThrow(/^EINVAL: send: bytes/);
    }
    expect(() => socket.send(bytes, 0, 1)).toThrow(/^EINVAL: send: port 0 receives nothing/);
    expect(() => socket.send(bytes, 0, 1, PEER, 65_536)).toThrow(/^EINVAL: send: a port is/);
    expect(fixture.net.sent()).toEqual([]);
  });

  it('sends broadcasts only if the socket allows it', () => {
    for (const address of ['10.0.0.255', '255.255.255.255']) {
      const without = bind({});
      expect(() => without.send(Uint8Array.of(1), 0, 1, parseIpv4(address), 9)).toThrow(/^EACCES: send: .* broadcast/);
      expect(bind({ broadcast: true }).send(Uint8Array.of(1), 0, 1, parseIpv4(address), 9)).toBe(true);
      without.mayBroadcast = true;
      expect(without.send(Uint8Array.of(1), 0, 1, parseIpv4(address), 9)).toBe(true);
      without.mayBroadcast = false;
      expect(fixture.net.sent()).toHaveLength(2);
    }
    expect(bind({}).send(Uint8Array.of(1), 0, 1, parseIpv4('224.0.0.1'), 9)).toBe(true);
  });

  it('sends the longest datagram in fragments, which its receiver puts together', () => {
    const socket = bind({ port: 5 });
    const bytes = Uint8Array.from({ length: 65_507 }, (_, i) => (i * 7) & 0xff);
    expect(socket.send(bytes, 0, bytes.length, PEER, 6)).toBe(true);
    const packets = fixture.net.sent();
    expect(packets).toHaveLength(45);
    bind({ port: 6 });
    for (const packet of packets.reverse()) {
      packet.set([10, 0, 0, 2, 10, 0, 0, 1], 12);
      fixture.exchange(packet);
    }
    expect(payloads()).toEqual([[...bytes]]);
  });

  it('returns false when no buffer is free', () => {
    const socket = bind({ port: 5 });
    const taken = [];
    for (let buffer = fixture.ip.begin(); buffer !== null; buffer = fixture.ip.begin()) taken.push(buffer);
    expect(socket.send(Uint8Array.of(1), 0, 1, PEER, 6)).toBe(false);
    expect(socket.send(new Uint8Array(5000), 0, 5000, PEER, 6)).toBe(false);
    expect(socket.failed).toBe(2);
    expect(counted()).toEqual({ udp_tx_failed: 2, udp_sockets: 1 });
    for (const buffer of taken) fixture.net.core.release(buffer);
  });
});

describe('ICMP errors', () => {
  const sendOne = (socket: UdpSocket, length = 1): Uint8Array => {
    socket.send(new Uint8Array(length), 0, length, PEER, 7);
    return fixture.net.sent()[0]!;
  };

  // Clauses: 1122-4.1.3.1a
  it('a port without a socket is answered with port unreachable', () => {
    const packet = toUs([1], 9, 99);
    const [answer] = fixture.exchange(packet);
    expect([...answer!.subarray(20, 22)]).toEqual([3, 3]);
    expect([...answer!.subarray(28)]).toEqual(packet);
    expect(counted()).toEqual({ udp_drop_no_port: 1 });
    expect(fixture.exchange(toUs([1], 9, 99, PEER_IP, '10.0.0.255'))).toEqual([]);
  });

  it('nothing is said of a port that another core may have', () => {
    const { net, clock } = fixture;
    const first: typeof net.core = Object.create(net.core, { rssCoreForPorts: { value: () => 1 } });
    const ip = new Ip(first, clock);
    const own = new Udp(first, ip, {});
    net.inject(Uint8Array.from(toUs([1], 9, 99)));
    for (let count = net.core.getRxCount(); count > 0; count--) ip.input(net.core.getBufferRx()!);
    expect(net.sent()).toEqual([]);
    expect(own.report()).toMatchObject({ udp_drop_no_port: 1 });
  });

  // Clauses: 1122-4.1.3.3a
  it.each([
    [3, 3, 'ECONNREFUSED'],
    [3, 2, 'ECONNREFUSED'],
    [3, 0, 'ENETUNREACH'],
    [3, 1, 'EHOSTUNREACH'],
    [3, 13, 'EHOSTUNREACH'],
    [3, 200, 'EHOSTUNREACH'],
    [11, 0, 'EHOSTUNREACH'],
    [12, 0, 'EHOSTUNREACH'],
  ])('of type %i, code %i are an error of a connected socket: %s', (type, code, name) => {
    const socket = bind({ port: 5, peer: { address: PEER_IP, port: 7 } });
    fixture.exchange(icmpError(sendOne(socket), { type, code }));
    expect(errors.map((event) => event.socket === socket)).toEqual([true]);
    expect(errors[0]!.error.code).toBe(name);
    expect(errors[0]!.error.message).toContain(`${name}: 10.0.0.2:7 was not reached`);
    expect(socket.errors).toBe(1);
  });

  it('are counted for a socket that is not connected, and without a socket', () => {
    const socket = bind({ port: 5 });
    const packet = sendOne(socket);
    fixture.exchange(icmpError(packet));
    socket.close();
    fixture.exchange(icmpError(packet));
    expect(errors).toEqual([]);
    expect(counted()).toMatchObject({ udp_icmp_unconnected: 1, udp_icmp_stray: 1 });
  });

  it('that tell an MTU make later datagrams leave in fragments', () => {
    const socket = bind({ port: 5, peer: { address: PEER_IP, port: 7 } });
    fixture.exchange(icmpError(sendOne(socket, 1400).subarray(0, 28), { code: 4, mtu: 1000 }));
    expect(errors).toEqual([]);
    expect(fixture.ip.pathMtu(PEER | 0)).toBe(1000);
    socket.send(new Uint8Array(1400));
    const packets = fixture.net.sent();
    expect(packets.map(({ length }) => length)).toEqual([996, 452]);
    expect(packets.map((packet) => packet[6]! >>> 5)).toEqual([1, 0]);
  });
});
