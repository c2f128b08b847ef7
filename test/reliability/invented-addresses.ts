/**
 * Sends frames with a new, invented source address each: echo requests, whose answer needs the address resolved by ARP, which
 * nobody answers, and ARP requests. The rate is one that any link carries: the frames cost no bandwidth, they cost places in
 * tables and queues.
 */
import type { NetDevice } from '../../drivers/net-device.js';
import { FRAME_OFFSET, NO_BUFFER } from '../../rings/buffer-pool.js';
import { parseMac } from '../../src/wire/address.js';
import { ARP_BYTES, ARP_REQUEST, writeArp } from '../../src/wire/arp.js';
import {
  BROADCAST_MAC,
  copyMac,
  ETH_HEADER_BYTES,
  ETHERTYPE_ARP_WORD,
  ETHERTYPE_IPV4_WORD,
  macWords,
  NO_MAC,
  writeEthSourceAndType,
} from '../../src/wire/ethernet.js';
import { ICMP_HEADER_BYTES, writeIcmpEchoRequest } from '../../src/wire/icmp.js';
import { IP_PROTOCOL_ICMP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../src/wire/ipv4.js';
import { addressOf, macOf } from './numbered.js';

/** To each endpoint, in a second. */
const PER_SECOND = 1000;
/** To each endpoint, in the first second: more than a table has places. */
const IN_FIRST_SECOND = 3000;
/** The largest burst. A call that comes too late does not send all that was due at once, because the rings have no room for it. */
const AT_ONCE = 32;
const ENDPOINTS = [1, 2];
const ICMP_BYTES = ICMP_HEADER_BYTES + 24;
/** Of the link that the endpoints are on: a /16. Endpoints have the first addresses. */
const FIRST_STRANGER = 0x100;
const STRANGERS = 0x1_0000 - 2 * FIRST_STRANGER;

export class InventedAddresses {
  private readonly startedAt = performance.now();
  private lastPoll = this.startedAt;
  private readonly handles = new Uint32Array(1);
  private readonly lengths = new Uint32Array(1);
  private due = 0;
  private sent = 0;

  /** @param own the number of the endpoint whose MAC address all frames come from */
  constructor(
    private readonly device: NetDevice,
    private readonly kind: 'pings' | 'asks',
    private readonly own: number,
  ) {}

  /** Sends what is due. To be called every few milliseconds. */
  poll(): void {
    const now = performance.now();
    const rate = now - this.startedAt < 1000 ? IN_FIRST_SECOND : PER_SECOND;
    this.due = Math.min(AT_ONCE, this.due + ((now - this.lastPoll) * rate) / 1000);
    this.lastPoll = now;
    this.device.reclaimTx();
    this.drain();
    for (; this.due >= 1; this.due--) for (const endpoint of ENDPOINTS) this.send(endpoint);
  }

  /** Drops what arrives: mostly ARP requests for the invented addresses. */
  private drain(): void {
    const { pool, rxHandles } = this.device;
    for (let count = -1; count !== 0; ) {
      count = this.device.rxBurst(AT_ONCE);
      for (let i = 0; i < count; i++) pool.put(rxHandles[i]!);
    }
  }

  private send(endpoint: number): void {
    const { pool, memory } = this.device;
    const handle = pool.get();
    if (handle === NO_BUFFER) return;
    const frame = pool.offsetOf(handle) + FRAME_OFFSET;
    const mac = macWords(parseMac(macOf(this.own)));
    const stranger = addressOf(0) + FIRST_STRANGER + Math.floor(Math.random() * STRANGERS);
    const body = frame + ETH_HEADER_BYTES;
    this.handles[0] = handle;
    if (this.kind === 'asks') {
      copyMac(memory.u16, frame >>> 1, BROADCAST_MAC, 0);
      writeEthSourceAndType(memory.u16, frame, mac, ETHERTYPE_ARP_WORD);
      writeArp(memory, body, ARP_REQUEST, mac, stranger, NO_MAC, addressOf(endpoint));
      this.lengths[0] = ETH_HEADER_BYTES + ARP_BYTES;
    } else {
      const bytes = IPV4_HEADER_BYTES + ICMP_BYTES;
      copyMac(memory.u16, frame >>> 1, macWords(parseMac(macOf(endpoint))), 0);
      writeEthSourceAndType(memory.u16, frame, mac, ETHERTYPE_IPV4_WORD);
      memory.u8.fill(0, body, body + bytes);
      writeIpv4Header(memory, body, bytes, IP_PROTOCOL_ICMP, stranger, addressOf(endpoint));
      writeIcmpEchoRequest(memory, body + IPV4_HEADER_BYTES, ICMP_BYTES, 1, this.sent++ & 0xffff);
      this.lengths[0] = ETH_HEADER_BYTES + bytes;
    }
    if (this.device.txBurst(this.handles, this.lengths, 1) === 0) pool.put(handle);
  }
}
