/**
 * Many TCP clients without a stack: they send requests of 64 bytes over open connections, and each sends the next one
 * when its response has come. They write no option and resend nothing, so that they cost little beside the stack that
 * is measured. A response whose sequence number, flags or length is not as expected is counted as wrong.
 *
 * The sending and the receiving half may run on two threads: a ring carries the connections whose turn it is to send.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import type { FlowTuple } from '../../../src/rss/rss.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthSourceAndType } from '../../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  IPV4_CHECKSUM,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE,
  ipv4TotalLength,
  writeIpv4Header,
} from '../../../src/wire/ipv4.js';
import {
  isTcpIntact,
  TCP_ACK,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  TCP_PSH,
  TCP_SYN,
  tcpFlags,
  writeTcpHeader,
} from '../../../src/wire/tcp.js';
import { viewsOf } from '../../common/memory-nic.js';
import { GATEWAY, STATION } from '../../pipeline/network.js';

export const SERVER_PORT = 7;
/** Bytes of a request and of a response. */
export const MESSAGE_BYTES = 64;
const FIRST_PORT = 1024;
const WINDOW = 0xffff;
const HEADERS = ETH_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_HEADER_BYTES;
/** Bytes of a request and of a SYN as frames. */
const REQUEST_FRAME = HEADERS + MESSAGE_BYTES;
const SYN_FRAME = HEADERS;
/** Places of words in a buffer, in bytes. */
const IP = FRAME_OFFSET + ETH_HEADER_BYTES;
const TCP = IP + IPV4_HEADER_BYTES;
/** 172.16/16 as the first bytes of a memory word. It is not on the link, so responses go to the gateway. */
const CLIENT_NET = 0x10ac;
const CLIENT_ADDRESS = 0xac100000;

const IP_AT = IP >>> 2;
const SOURCE_AT = (IP + IPV4_SOURCE) >>> 2;
const IP_SUM_AT = (IP + IPV4_CHECKSUM) >>> 1;
const TCP_SUM_AT = (TCP + TCP_CHECKSUM) >>> 1;
/** Most connections that are taken or handed over at once. */
const MOST = 256;

/** Where the ports of a packet lie, in words from the beginning of its buffer. A relay sends them back unchanged. */
export const PORTS_AT = TCP >>> 2;

/** What both halves share; structured-cloneable. */
export interface ClientShare {
  readonly connections: number;
  readonly ring: SharedArrayBuffer;
  readonly state: SharedArrayBuffer;
}

const ringSlots = (connections: number): number => 2 ** Math.ceil(Math.log2(connections + 1));

/** Makes the connections. Each is to be opened first. At most 16,384 connections. */
export function createClients(connections: number): ClientShare {
  const slots = ringSlots(connections);
  const ring = new SharedArrayBuffer(SpscRing.bytesFor(slots));
  const all = Uint32Array.from({ length: connections }, (_, i) => i);
  new SpscRing(ring, 0, slots).enqueueBurst(all, all, 0, connections);
  return { connections, ring, state: new SharedArrayBuffer(connections * 12) };
}

/** The tuple of a connection, as soft RSS takes it. */
export function tupleOf(connection: number): FlowTuple {
  const source = CLIENT_ADDRESS | connection;
  const sourcePort = FIRST_PORT + connection;
  return { protocol: IP_PROTOCOL_TCP, source, destination: STATION.address, sourcePort, destinationPort: SERVER_PORT };
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
const swap32 = (value: number): number =>
  (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
/** Both halves of a word, to be added to a sum. */
const halves = (word: number): number => (word & 0xffff) + (word >>> 16);

const SERVER_PORT_WORD = swap16(SERVER_PORT);
const SYN_ACK = TCP_SYN | TCP_ACK;

/** A sum of 16-bit words as a checksum. */
function folded(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return ~(once + (once >>> 16)) & 0xffff;
}

interface Template {
  /** The first word of the IP header; the word of the TCP header with the flags. */
  readonly ip: number;
  readonly tcp: number;
  /** Sums of 16-bit words, for the checksums. */
  readonly ipSum: number;
  readonly tcpSum: number;
}

// States of a connection.
const CLOSED = 0;
/** The server has answered the SYN, and not yet the first request. */
const OPENING = 1;
const OPEN = 2;

/** The clients, with both halves. On two threads, each half has its own instance. */
export class Clients {
  /** Responses that have come, and segments that were not as expected. */
  answered = 0;
  wrong = 0;
  /** Connections whose first response has come. */
  open = 0;
  private readonly turns: SpscRing;
  private readonly taken = new Uint32Array(MOST);
  private readonly done = new Uint32Array(MOST);
  private doneCount = 0;
  private readonly unused = new Uint32Array(MOST);
  /** Per connection: the next sequence number to send, the next one to come, and the state. */
  private readonly sendNext: Int32Array;
  private readonly receiveNext: Int32Array;
  private readonly states: Int32Array;
  private readonly request = template(MESSAGE_BYTES, TCP_ACK | TCP_PSH);
  private readonly syn = template(0, TCP_SYN);

  constructor(
    private readonly memory: MemoryViews,
    { connections, ring, state }: ClientShare,
  ) {
    this.turns = new SpscRing(ring, 0, ringSlots(connections));
    this.sendNext = new Int32Array(state, 0, connections);
    this.receiveNext = new Int32Array(state, connections * 4, connections);
    this.states = new Int32Array(state, connections * 8, connections);
  }

  /** Writes what is the same in all frames into the buffer at `offset`. */
  writeTemplate(offset: number): void {
    writeFrame(this.memory, offset, MESSAGE_BYTES, TCP_ACK | TCP_PSH);
  }

  /** Takes up to `max` connections whose turn it is to send, at most 256. Returns how many. */
  take(max: number): number {
    return this.turns.dequeueBurst(this.taken, this.unused, max);
  }

  /** The connection at place `i` of the last {@link take}. */
  connectionAt(i: number): number {
    return this.taken[i];
  }

  /** Writes the next packet of a connection into the buffer at `offset`: a SYN or a request. Returns its bytes. */
  write(offset: number, connection: number): number {
    const { u16, u32 } = this.memory;
    const isOpen = this.states[connection] !== CLOSED;
    const same = isOpen ? this.request : this.syn;
    const source = (swap16(connection) << 16) | CLIENT_NET;
    const ports = (SERVER_PORT_WORD << 16) | swap16(FIRST_PORT + connection);
    const sequence = swap32(this.sendNext[connection]);
    const acknowledgement = isOpen ? swap32(this.receiveNext[connection]) : 0;
    const at = offset >>> 2;
    u32[at + IP_AT] = same.ip;
    u32[at + SOURCE_AT] = source;
    u16[(offset >>> 1) + IP_SUM_AT] = folded(same.ipSum + halves(source));
    u32[at + PORTS_AT] = ports;
    u32[at + PORTS_AT + 1] = sequence;
    u32[at + PORTS_AT + 2] = acknowledgement;
    u32[at + PORTS_AT + 3] = same.tcp;
    const sum = halves(source) + halves(ports) + halves(sequence) + halves(acknowledgement);
    u16[(offset >>> 1) + TCP_SUM_AT] = folded(same.tcpSum + sum);
    return isOpen ? REQUEST_FRAME : SYN_FRAME;
  }

  /** Takes a frame of the server from the buffer at `offset`. */
  receive(offset: number, length: number): void {
    const { u8, u32 } = this.memory;
    const at = offset >>> 2;
    const ports = u32[at + PORTS_AT];
    // A relay sends the ports back as they came.
    const isRelayed = ports >>> 16 === SERVER_PORT_WORD;
    const connection = swap16(isRelayed ? ports & 0xffff : ports >>> 16) - FIRST_PORT;
    const state = this.states[connection];
    if (isRelayed) {
      if (state !== OPEN) this.opened(connection);
      this.respond(connection);
      return;
    }
    const sequence = swap32(u32[at + PORTS_AT + 1]);
    const acknowledged = swap32(u32[at + PORTS_AT + 2]);
    if (state === CLOSED) {
      const isSynAck = (tcpFlags(u8, offset + TCP) & SYN_ACK) === SYN_ACK && acknowledged === 1;
      if (!isSynAck || !this.isIntact(offset)) {
        this.wrong++;
        return;
      }
      this.states[connection] = OPENING;
      this.sendNext[connection] = 1;
      this.receiveNext[connection] = (sequence + 1) | 0;
      this.done[this.doneCount++] = connection;
      return;
    }
    const isNext = sequence === this.receiveNext[connection] && length === REQUEST_FRAME;
    const isAnswer = isNext && acknowledged === ((this.sendNext[connection] + MESSAGE_BYTES) | 0);
    // The checksum of each connection's first response is checked.
    if (!isAnswer || (state === OPENING && !this.isIntact(offset))) {
      this.wrong++;
      return;
    }
    if (state === OPENING) this.opened(connection);
    this.respond(connection);
  }

  /** To be called after a burst of {@link receive}, of at most 256: the connections may send again. */
  endBurst(): void {
    const count = this.doneCount;
    this.doneCount = 0;
    if (count > 0) this.turns.enqueueBurst(this.done, this.unused, 0, count);
  }

  private opened(connection: number): void {
    this.states[connection] = OPEN;
    this.open++;
  }

  /** A response has come: it is the connection's turn. */
  private respond(connection: number): void {
    this.sendNext[connection] = (this.sendNext[connection] + MESSAGE_BYTES) | 0;
    this.receiveNext[connection] = (this.receiveNext[connection] + MESSAGE_BYTES) | 0;
    this.answered++;
    this.done[this.doneCount++] = connection;
  }

  private isIntact(offset: number): boolean {
    const { memory } = this;
    const length = ipv4TotalLength(memory.u8, offset + IP) - IPV4_HEADER_BYTES;
    return isTcpIntact(memory, offset + IP, offset + TCP, length);
  }
}

/** Writes a whole packet of connection 0 into the buffer at `offset`. */
function writeFrame(memory: MemoryViews, offset: number, bytes: number, flags: number): void {
  memory.u16.set(macWords(STATION.mac), (offset + FRAME_OFFSET) >>> 1);
  writeEthSourceAndType(memory.u16, offset + FRAME_OFFSET, macWords(GATEWAY.mac), ETHERTYPE_IPV4_WORD);
  const [ip, tcp] = [offset + IP, offset + TCP];
  for (let i = 0; i < bytes; i++) memory.u8[tcp + TCP_HEADER_BYTES + i] = i;
  const length = IPV4_HEADER_BYTES + TCP_HEADER_BYTES + bytes;
  writeIpv4Header(memory, ip, length, IP_PROTOCOL_TCP, CLIENT_ADDRESS, STATION.address);
  writeTcpHeader(
    memory,
    ip,
    tcp,
    TCP_HEADER_BYTES + bytes,
    TCP_HEADER_BYTES,
    FIRST_PORT,
    SERVER_PORT,
    0,
    0,
    flags,
    WINDOW,
  );
}

/** The sum of the 16-bit words from `from` to `end`, in bytes. */
function sumOf(u16: Uint16Array, from: number, end: number): number {
  let sum = 0;
  for (let at = from >>> 1; at < end >>> 1; at++) sum += u16[at];
  return sum;
}

/** The words of a packet that do not depend on the connection, and the sums over them. */
function template(bytes: number, flags: number): Template {
  const memory = viewsOf(new SharedArrayBuffer(256));
  writeFrame(memory, 0, bytes, flags);
  const { u16, u32 } = memory;
  const length = TCP_HEADER_BYTES + bytes;
  // What Clients.write adds: the source address; ports, sequence number and acknowledgement. And the checksums.
  u32[SOURCE_AT] = 0;
  u32.fill(0, PORTS_AT, PORTS_AT + 3);
  u16[IP_SUM_AT] = 0;
  u16[TCP_SUM_AT] = 0;
  const ipSum = sumOf(u16, IP, TCP);
  const pseudoHeader = halves(u32[SOURCE_AT + 1]) + swap16(IP_PROTOCOL_TCP) + swap16(length);
  const tcpSum = pseudoHeader + sumOf(u16, TCP, TCP + length);
  return { ip: u32[IP_AT], tcp: u32[PORTS_AT + 3], ipSum, tcpSum };
}
