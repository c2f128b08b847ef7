/** A stack for tests of scripts: opens one connection, acknowledges data late, and echoes nothing by itself. */
import type { Core } from '../../../../src/link/core.js';
import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { IP_PROTOCOL_TCP, IPV4_HEADER_BYTES, ipv4Source, writeIpv4Header } from '../../../../src/wire/ipv4.js';
import {
  TCP_ACK,
  TCP_FIN,
  TCP_HEADER_BYTES,
  TCP_PSH,
  TCP_SYN,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort,
  writeTcpHeader,
} from '../../../../src/wire/tcp.js';
import type { TcpStack } from './script.js';

const ISS = 0x7ffffff0;
/** How late data are acknowledged, in ms. */
const LATE_MS = 40;
const OWN_PORT = 50_000;
const TCP = IPV4_HEADER_BYTES;

export class AnsweringStack implements TcpStack {
  readonly tcp: TcpStack['tcp'];
  private handlers: TcpHandlers = {};
  private localPort = OWN_PORT;
  private remote = 0;
  private remotePort = 0;
  private sendNext = ISS;
  private receiveNext = 0;
  private ackAt = Number.POSITIVE_INFINITY;
  private readonly connection: Connection;

  /** @param defect a fault that a script must notice */
  constructor(
    private readonly core: Core,
    private readonly defect: 'none' | 'wrong data' | 'keeps a buffer' | 'never rests' = 'none',
  ) {
    const write = (bytes: Uint8Array, offset = 0, length = bytes.length): number => {
      this.send(TCP_PSH | TCP_ACK, bytes.subarray(offset, offset + length));
      return length;
    };
    // A script calls nothing else of this connection.
    this.connection = { write, end: () => this.send(TCP_FIN | TCP_ACK) } as unknown as Connection;
    this.tcp = {
      listen: ({ port }, handlers) => {
        this.localPort = port;
        this.handlers = handlers;
        return { close: () => {} };
      },
      connect: ({ address, port }, handlers) => {
        this.handlers = handlers;
        this.remote = parseIpv4(address);
        this.remotePort = port;
        this.send(TCP_SYN);
        return this.connection;
      },
    };
  }

  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx()!;
      this.receive(buffer.bytes, buffer.length);
      if (this.defect !== 'keeps a buffer') core.release(buffer);
    }
    if (core.now() >= this.ackAt) {
      this.ackAt = Number.POSITIVE_INFINITY;
      this.send(TCP_ACK);
    }
    return this.defect === 'never rests' ? 1 : count;
  }

  maxSleepMs(): number {
    return Math.max(this.ackAt - this.core.now(), 0);
  }

  private receive(packet: Uint8Array, length: number): void {
    const flags = tcpFlags(packet, TCP);
    const data = TCP + tcpHeaderLength(packet, TCP);
    this.remote = ipv4Source(packet, 0);
    this.remotePort = tcpSourcePort(packet, TCP);
    this.receiveNext = (tcpSequence(packet, TCP) + length - data + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0)) | 0;
    if (length > data) {
      this.ackAt = this.core.now() + LATE_MS;
      this.handlers.data?.(this.connection, packet, data, length - data);
    }
    if ((flags & TCP_SYN) !== 0) this.send((flags & TCP_ACK) === 0 ? TCP_SYN | TCP_ACK : TCP_ACK);
    else if (length === data) this.handlers.open?.(this.connection);
  }

  private send(flags: number, data: Uint8Array = new Uint8Array(0)): void {
    const { core } = this;
    const buffer = core.getBufferTx()!;
    const tcp = buffer.offset + TCP;
    const bytes = TCP_HEADER_BYTES + data.length;
    core.memory.u8.set(data, tcp + TCP_HEADER_BYTES);
    if (this.defect === 'wrong data' && data.length > 2) core.memory.u8[tcp + TCP_HEADER_BYTES + 2]! ^= 1;
    writeIpv4Header(core.memory, buffer.offset, TCP + bytes, IP_PROTOCOL_TCP, core.address, this.remote);
    const { localPort, remotePort, sendNext, receiveNext } = this;
    const ack = flags === TCP_SYN ? 0 : receiveNext;
    writeTcpHeader(
      core.memory,
      buffer.offset,
      tcp,
      bytes,
      TCP_HEADER_BYTES,
      localPort,
      remotePort,
      sendNext,
      ack,
      flags,
      1000,
    );
    this.sendNext = (sendNext + data.length + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0)) | 0;
    buffer.length = TCP + bytes;
    core.addBufferToRing(buffer);
  }
}
