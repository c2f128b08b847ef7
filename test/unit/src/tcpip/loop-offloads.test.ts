/** What a stack sends to its own address on a port with offloads: packets come back as they were sent, not summed, not cut. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_TSO4 } from '../../../../drivers/offloads.js';
import { TcpIp } from '../../../../src/tcpip/index.js';
import { type FakePort, openFakePort } from '../../../../src/testing/index.js';
import { checkInvariants } from '../../../support/tcpip/invariants.js';
import { RecordingApp } from '../../../support/tcpip/rfc/app.js';

const OWN = '10.0.0.1';

let net: FakePort;
let stack: TcpIp;

beforeEach(async () => {
  const offloads = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_CHAIN;
  net = await openFakePort({ ip: `${OWN}/24`, offloads, device: { buffers: 512 } });
  stack = new TcpIp(net.core, { seed: 1, timeWaitMs: 1000 });
});

afterEach(async () => {
  stack.stop();
  expect(net.held).toBe(0);
  expect(net.sent()).toEqual([]);
  await net.stop();
});

function settle(): void {
  for (let polls = 0; stack.poll() > 0 || stack.maxSleepMs() === 0; polls++) {
    checkInvariants(stack.tcp);
    if (polls > 10_000) throw new Error('the stack has always something to do');
  }
}

describe('a connection to the own address', () => {
  it('gets GSO packets whole, and every byte', () => {
    const server = new RecordingApp();
    const client = new RecordingApp();
    stack.tcp.listen({ port: 80, receiveBuffer: 500_000 }, server);
    client.begin(stack.tcp.connect({ address: OWN, port: 80, sendBuffer: 500_000 }, client));
    settle();
    client.write(400_000);
    settle();
    expect(server.bytes).toHaveLength(400_000);
    expect(server.events.filter((event) => event.includes('wrong'))).toEqual([]);
    const { tcp_gso_in: received, tcp_gso_out: sent, tcp_bad_checksum: bad } = stack.report();
    expect(sent).toBeGreaterThan(5);
    expect(received).toBe(sent);
    expect(bad).toBe(0);
    client.connection.end();
    server.connection.end();
    settle();
    net.pass(2000);
    settle();
    expect(stack.report().tcp_connections).toBe(0);
    expect(net.device.pool.available).toBe(512);
  });

  it('gets datagrams of UDP whose checksum is left open', () => {
    const payloads: number[][] = [];
    const message = (_: unknown, bytes: Uint8Array, offset: number, length: number): void => {
      payloads.push([...bytes.subarray(offset, offset + length)]);
    };
    stack.udp.bind({ port: 53 }, { message });
    const socket = stack.udp.bind({ peer: { address: OWN, port: 53 } }, {});
    socket.send(Uint8Array.of(1, 2, 3));
    settle();
    expect(payloads).toEqual([[1, 2, 3]]);
  });
});
