/**
 * ARP (RFC 826): answers requests for our address, learns from what neighbours send, and notices other stations that
 * use our addresses (RFC 5227).
 *
 * A reply is written into the buffer of the request, so that we can answer even when no buffer is free.
 */

import type { MemoryViews } from '../../../drivers/memory/index.js';
import { L2, type L2Counters } from '../../counters.js';
import { formatIpv4, formatMac, isStationMac } from '../../wire/address.js';
import {
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_MAC,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  isArp,
  writeArp,
} from '../../wire/arp.js';
import {
  copyMac,
  ETH_HEADER_BYTES,
  ETHERTYPE_ARP_WORD,
  ETHERTYPE_IPV4,
  ethType,
  sameMac,
  writeEthSourceAndType,
} from '../../wire/ethernet.js';
import { IPV4_HEADER_BYTES, ipv4Source } from '../../wire/ipv4.js';
import type { TxBurst } from '../bursts/tx-burst.js';
import { type Host, macBytes } from '../host.js';
import type { Warnings } from '../warnings.js';
import { ARP_FRAME_BYTES, type ArpSender } from './arp-sender.js';
import type { Neighbours } from './neighbours.js';

export type ArpWarning = 'conflict_ip' | 'conflict_mac' | 'static_mismatch';

export class Arp {
  private readonly values: Float64Array;
  private readonly asker = new Uint16Array(3);
  /** An address that we may take, and what hears that another station has it: {@link watch}. */
  private candidate = 0;
  private onTaken: (mac: string) => void = () => {};

  constructor(
    private readonly memory: MemoryViews,
    private readonly host: Host,
    private readonly neighbours: Neighbours,
    private readonly sender: ArpSender,
    private readonly tx: TxBurst,
    counters: L2Counters,
    private readonly warnings: Warnings<ArpWarning>,
  ) {
    this.values = counters.values;
  }

  /**
   * Calls `onTaken` with the MAC address of each station that says it has `ip`, or asks whether it may have it
   * (RFC 5227, 2.1.1).
   * @param ip signed; 0 ends it
   */
  watch(ip: number, onTaken: (mac: string) => void): void {
    this.candidate = ip;
    this.onTaken = onTaken;
  }

  /**
   * Takes a received ARP frame of `length` bytes at `frame`, in the buffer `handle`.
   * @returns true when the buffer went out as our reply; false when the caller still owns it.
   */
  receive(handle: number, frame: number, length: number): boolean {
    const { u8, u16 } = this.memory;
    const arp = frame + ETH_HEADER_BYTES;
    if (!isArp(u8, arp, length - ETH_HEADER_BYTES) || !isStationMac(u8, arp + ARP_SENDER_MAC)) {
      this.values[L2.arp_malformed]++;
      return false;
    }
    const operation = arpOperation(u8, arp);
    const sender = arpSenderIp(u8, arp);
    const target = arpTargetIp(u8, arp);
    const own = this.host.address;
    const isForUs = target === own;
    const senderMac = (arp + ARP_SENDER_MAC) >>> 1;
    if (sameMac(u16, senderMac, this.host.mac, 0)) {
      // A probe of ours has no sender address.
      if (sender === own || sender === 0) this.values[L2.arp_reflected]++;
      else this.macConflict(sender);
      return false;
    }
    // RFC 5227, 2.1.1: a probe has no sender address. A probe for our address must be answered.
    const isProbe = sender === 0 && operation === ARP_REQUEST;
    const { candidate } = this;
    if (candidate !== 0 && (sender === candidate || (isProbe && target === candidate))) {
      this.onTaken(formatMac(u8, arp + ARP_SENDER_MAC));
    }
    if (own === 0) {
      this.values[L2.arp_not_for_us]++;
      return false;
    }
    if (sender === own) {
      this.ipConflict(arp + ARP_SENDER_MAC);
      return false;
    }
    if (!isProbe && !this.host.isSource(sender)) {
      this.values[L2.arp_malformed]++;
      return false;
    }
    const isQuestion = isForUs && operation === ARP_REQUEST;
    if (!isProbe && this.host.isOnLink(sender)) this.hear(sender, senderMac, isQuestion, isForUs);
    else if (!isQuestion) this.values[L2.arp_not_for_us]++;
    return isQuestion && this.answer(handle, frame, sender);
  }

  /**
   * A frame that is not ARP came from our own MAC address: finds out whether it can be a reflection of our own frame.
   */
  receiveOwnSource(frame: number, length: number): void {
    const u8 = this.memory.u8;
    if (ethType(u8, frame) !== ETHERTYPE_IPV4 || length < ETH_HEADER_BYTES + IPV4_HEADER_BYTES) return;
    const source = ipv4Source(u8, frame + ETH_HEADER_BYTES);
    // What asks for an address by DHCP has none.
    if (source !== this.host.address && source !== 0) this.macConflict(source);
  }

  private hear(ip: number, mac: number, isQuestion: boolean, isForUs: boolean): void {
    const values = this.values;
    switch (this.neighbours.hear(ip, this.memory.u16, mac, isQuestion)) {
      case 'unknown':
        values[isForUs ? L2.arp_unsolicited : L2.arp_not_for_us]++;
        break;
      case 'learned':
        values[L2.arp_learned]++;
        break;
      case 'confirmed':
      case 'static':
        values[L2.arp_confirmed]++;
        break;
      case 'changed':
        values[L2.arp_changed]++;
        break;
      case 'full':
        values[L2.arp_table_full]++;
        break;
      case 'mismatch':
        values[L2.arp_static_mismatch]++;
        if (this.warnings.isDue('static_mismatch')) {
          const other = formatMac(this.memory.u8, mac << 1);
          this.warnings.warn(
            `${formatIpv4(ip)} says that its MAC address is ${other}, but its static entry has another: ignored`,
          );
        }
        break;
    }
  }

  private answer(handle: number, frame: number, asker: number): boolean {
    const u16 = this.memory.u16;
    const arp = frame + ETH_HEADER_BYTES;
    copyMac(this.asker, 0, u16, (arp + ARP_SENDER_MAC) >>> 1);
    copyMac(u16, frame >>> 1, this.asker, 0);
    writeEthSourceAndType(u16, frame, this.host.mac, ETHERTYPE_ARP_WORD);
    writeArp(this.memory, arp, ARP_REPLY, this.host.mac, this.host.address, this.asker, asker);
    if (!this.tx.push(handle, ARP_FRAME_BYTES)) {
      this.values[L2.arp_ring_full]++;
      return false;
    }
    this.values[L2.arp_answered]++;
    return true;
  }

  private ipConflict(mac: number): void {
    this.values[L2.arp_conflict_ip]++;
    if (this.warnings.isDue('conflict_ip')) {
      const own = formatIpv4(this.host.address);
      this.warnings.warn(
        `${own} is also used by the station ${formatMac(this.memory.u8, mac)}: give one another address`,
      );
    }
    this.sender.defend();
  }

  private macConflict(ip: number): void {
    this.values[L2.arp_conflict_mac]++;
    if (this.warnings.isDue('conflict_mac')) {
      const own = formatMac(macBytes(this.host.mac));
      this.warnings.warn(
        `our MAC address ${own} is also used by the station ${formatIpv4(ip)}: give one another (mac)`,
      );
    }
  }
}
