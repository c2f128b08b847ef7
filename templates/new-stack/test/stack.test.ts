/** Tests the stack on a fake device. The layer below the stack is the real one; the test plays the network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFakePort } from 'tspmd/testing';
import * as wire from 'tspmd/wire';
import createStack from '../src/stack.ts';

const OURS = wire.parseIpv4('10.0.0.1');
const PEERS = wire.parseIpv4('10.0.0.2');
const IP = wire.IPV4_HEADER_BYTES;
const PAYLOAD = Uint8Array.of(1, 2, 3, 4, 5);

/** Makes an IP packet from the peer to us. The header of its payload is still empty. */
function packet(protocol: number, headerBytes: number): wire.WireMemory {
  const memory = wire.wireMemory(new Uint8Array(IP + headerBytes + PAYLOAD.length));
  wire.writeIpv4Header(memory, 0, memory.u8.length, protocol, PEERS, OURS);
  memory.u8.set(PAYLOAD, IP + headerBytes);
  return memory;
}

test('a ping is answered, with its payload', async () => {
  const net = await openFakePort({ ip: '10.0.0.1/24' });
  const stack = createStack(net.core, {});
  const request = packet(wire.IP_PROTOCOL_ICMP, wire.ICMP_HEADER_BYTES);
  wire.writeIcmpEchoRequest(request, IP, request.u8.length - IP, 77, 1);
  net.inject(request.u8);
  assert.equal(stack.poll(), 1);
  const [reply, ...more] = net.sent();
  assert.ok(reply !== undefined && more.length === 0);
  assert.ok(wire.isIpv4Intact(wire.wireMemory(reply), 0, reply.length));
  assert.ok(wire.isIcmpIntact(wire.wireMemory(reply), IP, reply.length - IP));
  assert.equal(wire.icmpType(reply, IP), wire.ICMP_ECHO_REPLY);
  assert.equal(wire.icmpIdentifier(reply, IP), 77);
  assert.equal(wire.ipv4Destination(reply, 0), PEERS | 0);
  assert.deepEqual(reply.slice(IP + wire.ICMP_HEADER_BYTES), PAYLOAD);
  await net.stop();
});

test('a datagram to our port comes back, one to another port does not', async () => {
  const net = await openFakePort({ ip: '10.0.0.1/24' });
  const stack = createStack(net.core, { port: 5000 });
  for (const port of [5000, 5001]) {
    const request = packet(wire.IP_PROTOCOL_UDP, wire.UDP_HEADER_BYTES);
    wire.writeUdpHeader(request, 0, IP, request.u8.length - IP, 40_000, port);
    net.inject(request.u8);
  }
  stack.poll();
  const [reply, ...more] = net.sent();
  assert.ok(reply !== undefined && more.length === 0);
  assert.ok(wire.isUdpIntact(wire.wireMemory(reply), 0, IP, reply.length - IP));
  assert.equal(wire.udpDestinationPort(reply, IP), 40_000);
  assert.deepEqual(stack.report?.(), { pings: 0, datagrams: 1, others: 1 });
  await net.stop();
});

test('damaged packets are not answered, and no buffer is lost', async () => {
  const net = await openFakePort({ ip: '10.0.0.1/24' });
  const stack = createStack(net.core, {});
  const request = packet(wire.IP_PROTOCOL_ICMP, wire.ICMP_HEADER_BYTES);
  wire.writeIcmpEchoRequest(request, IP, request.u8.length - IP, 77, 1);
  for (let at = 0; at < request.u8.length; at++) {
    const damaged = request.u8.slice();
    damaged[at]! ^= 0x10;
    net.inject(damaged);
    stack.poll();
  }
  assert.deepEqual(net.sent(), []);
  assert.equal(net.held, 0);
  await net.stop();
});
