import { beforeEach, describe, expect, it } from 'vitest';
import { viewsOf } from '../../../../../bench/common/memory-nic.js';
import { STATION } from '../../../../../bench/pipeline/network.js';
import { Clients, createClients, MESSAGE_BYTES, SERVER_PORT, tupleOf } from '../../../../../bench/tcp/scale/client.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import { ETH_HEADER_BYTES } from '../../../../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  ipv4Destination,
  ipv4Source,
  ipv4TotalLength,
  isIpv4Intact,
  writeIpv4Header,
} from '../../../../../src/wire/ipv4.js';
import {
  isTcpIntact,
  TCP_ACK,
  TCP_PSH,
  TCP_SYN,
  tcpAcknowledgement,
  tcpDestinationPort,
  tcpFlags,
  tcpSequence,
  tcpSourcePort,
  writeTcpHeader,
} from '../../../../../src/wire/tcp.js';

const IP = FRAME_OFFSET + ETH_HEADER_BYTES;
const TCP = IP + 20;
/** The buffer of the server's segments; that of the clients' is at 0. */
const RESPONSE = 1024;
const SERVER_ISS = 0x7fffffff;
const memory = viewsOf(new SharedArrayBuffer(2048));

describe('the clients of the scaling benchmark', () => {
  let clients: Clients;

  /** Takes the only packet that a client sends. Expects that it is intact. */
  function sent() {
    expect(clients.take(32)).toBe(1);
    const connection = clients.connectionAt(0);
    const length = clients.write(0, connection);
    expect(isIpv4Intact(memory, IP, length - ETH_HEADER_BYTES)).toBe(true);
    expect(isTcpIntact(memory, IP, TCP, ipv4TotalLength(memory.u8, IP) - 20)).toBe(true);
    const { u8 } = memory;
    return {
      ...{ flags: tcpFlags(u8, TCP), sequence: tcpSequence(u8, TCP), acknowledgement: tcpAcknowledgement(u8, TCP) },
      ...{ source: ipv4Source(u8, IP) | 0, port: tcpSourcePort(u8, TCP), to: tcpDestinationPort(u8, TCP) },
      ...{ destination: ipv4Destination(u8, IP) | 0, bytes: length - (TCP - FRAME_OFFSET) - 20 },
    };
  }

  /** Lets the server send a segment to the client of the last packet. */
  function respond(flags: number, sequence: number, acknowledgement: number, bytes: number): void {
    const { u8 } = memory;
    const [client, port] = [ipv4Source(u8, IP), tcpSourcePort(u8, TCP)];
    const [ip, tcp] = [RESPONSE + IP, RESPONSE + TCP];
    writeIpv4Header(memory, ip, 40 + bytes, IP_PROTOCOL_TCP, STATION.address, client);
    writeTcpHeader(memory, ip, tcp, 20 + bytes, 20, SERVER_PORT, port, sequence, acknowledgement, flags, 1000);
    clients.receive(RESPONSE, TCP - FRAME_OFFSET + 20 + bytes);
    clients.endBurst();
  }

  beforeEach(() => {
    clients = new Clients(memory, createClients(1));
    clients.writeTemplate(0);
  });

  it('opens a connection and sends a request after each response', () => {
    const { source, destination, sourcePort } = tupleOf(0);
    const syn = sent();
    expect(syn).toMatchObject({ flags: TCP_SYN, sequence: 0, bytes: 0, to: SERVER_PORT, port: sourcePort });
    expect([syn.source, syn.destination]).toEqual([(source as number) | 0, (destination as number) | 0]);
    respond(TCP_SYN | TCP_ACK, SERVER_ISS, 1, 0);
    const first = sent();
    expect(first).toMatchObject({ flags: TCP_ACK | TCP_PSH, sequence: 1, bytes: MESSAGE_BYTES });
    expect(first.acknowledgement).toBe(-0x80000000);
    respond(TCP_ACK | TCP_PSH, SERVER_ISS + 1, 1 + MESSAGE_BYTES, MESSAGE_BYTES);
    expect(sent()).toMatchObject({ sequence: 1 + MESSAGE_BYTES, acknowledgement: -0x80000000 + MESSAGE_BYTES });
    expect(clients).toMatchObject({ answered: 1, open: 1, wrong: 0 });
  });

  it.each([
    ['a reset instead of a SYN-ACK', 0x14, SERVER_ISS, 1, 0],
    ['a SYN-ACK that acknowledges another SYN', TCP_SYN | TCP_ACK, SERVER_ISS, 2, 0],
  ])('counts as wrong: %s', (_, flags, sequence, acknowledgement, bytes) => {
    sent();
    respond(flags, sequence, acknowledgement, bytes);
    expect(clients).toMatchObject({ answered: 0, open: 0, wrong: 1 });
    expect(clients.take(32)).toBe(0);
  });

  it.each([
    ['a response that lacks bytes', SERVER_ISS + 1, 1 + MESSAGE_BYTES, MESSAGE_BYTES - 2],
    ['a response before its turn', SERVER_ISS + 2, 1 + MESSAGE_BYTES, MESSAGE_BYTES],
    ['a response that does not acknowledge the request', SERVER_ISS + 1, 1, MESSAGE_BYTES],
  ])('counts as wrong: %s', (_, sequence, acknowledgement, bytes) => {
    sent();
    respond(TCP_SYN | TCP_ACK, SERVER_ISS, 1, 0);
    sent();
    respond(TCP_ACK | TCP_PSH, sequence, acknowledgement, bytes);
    expect(clients).toMatchObject({ answered: 0, open: 0, wrong: 1 });
  });
});
