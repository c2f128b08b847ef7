/** A stack that sends numbered UDP datagrams and collects those that it receives: it shows what a path does. */
import type { Core } from '../../../../src/link/core.js';
import type { Stack } from '../../../../src/stack.js';
import { readI32, writeI32 } from '../../../../src/wire/bytes.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  ipv4Protocol,
  isIpv4Intact,
  writeIpv4Header,
} from '../../../../src/wire/ipv4.js';
import type { WireMemory } from '../../../../src/wire/memory.js';
import { isUdpIntact, UDP_HEADER_BYTES, writeUdpHeader } from '../../../../src/wire/udp.js';

const UDP = IPV4_HEADER_BYTES;
const NUMBER = UDP + UDP_HEADER_BYTES;

export class Datagrams implements Stack {
  /** The numbers that arrived intact, in order, and when. */
  readonly numbers: number[] = [];
  readonly times: number[] = [];
  /** Packets of other protocols. */
  readonly others: Uint8Array[] = [];
  damaged = 0;
  private sent = 0;

  /**
   * @param clock virtual time in ms
   * @param port that datagrams are sent to, and from; 7 is answered by echo
   */
  constructor(
    private readonly core: Core,
    private readonly clock: () => number,
    private readonly port = 9,
  ) {}

  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferRx()!;
      this.receive(buffer.bytes.slice(0, buffer.length), buffer.offset, buffer.length);
      core.release(buffer);
    }
    return count;
  }

  report(): Record<string, number> {
    return { received: this.numbers.length, damaged: this.damaged };
  }

  /**
   * Sends datagrams, numbered on.
   * @param length of each IP packet in bytes
   * @param change changes the finished packet
   * @returns how many were taken
   */
  send(destination: number, count: number, length = 100, change?: (memory: WireMemory, ip: number) => void): number {
    const { core, port } = this;
    for (let i = 0; i < count; i++) {
      const buffer = core.getBufferTx();
      if (buffer === null) return i;
      const ip = buffer.offset;
      writeI32(core.memory.u8, ip + NUMBER, this.sent);
      writeIpv4Header(core.memory, ip, length, IP_PROTOCOL_UDP, core.address, destination);
      writeUdpHeader(core.memory, ip, ip + UDP, length - UDP, port === 7 ? 1007 : port, port);
      change?.(core.memory, ip);
      buffer.length = length;
      if (!core.addBufferToRing(buffer)) {
        core.release(buffer);
        return i;
      }
      this.sent++;
    }
    core.flush();
    return count;
  }

  private receive(bytes: Uint8Array, ip: number, length: number): void {
    const { memory } = this.core;
    if (!isIpv4Intact(memory, ip, length)) {
      this.damaged++;
    } else if (ipv4Protocol(bytes, 0) !== IP_PROTOCOL_UDP) {
      this.others.push(bytes);
    } else if (!isUdpIntact(memory, ip, ip + ipv4HeaderLength(bytes, 0), length - ipv4HeaderLength(bytes, 0))) {
      this.damaged++;
    } else {
      this.numbers.push(readI32(bytes, NUMBER));
      this.times.push(this.clock());
    }
  }
}
