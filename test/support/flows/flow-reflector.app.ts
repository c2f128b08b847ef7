/**
 * The stack under test of the flow tests: sends each datagram back with the number of its core, and checks what a core
 * can check: all packets of its flows come to it in both directions, and in order. Obeys the orders in the datagrams.
 */
import type { Core } from '../../../src/link/core.js';
import type { Stack } from '../../../src/stack.js';
import { IP_PROTOCOL_UDP, IPV4_HEADER_BYTES, ipv4Source, writeIpv4Header } from '../../../src/wire/ipv4.js';
import {
  isUdpIntact,
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpSourcePort,
  writeUdpHeader,
} from '../../../src/wire/udp.js';
import {
  BLOCK,
  FIRST_PORT,
  flowOf,
  isFlowIntact,
  KEEP,
  MAX_FLOWS,
  orderOf,
  REFLECTOR_PORT,
  sequenceOf,
  setCore,
  THROW,
} from './flow-packet.js';

const HEADERS = IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
const bell = new Int32Array(new SharedArrayBuffer(4));

export default function createReflector(core: Core): Stack {
  const last = new Int32Array(MAX_FLOWS).fill(-1);
  const u8 = core.memory.u8;
  const own = core.address | 0;
  const totals = { packets: 0, flows: 0, disorder: 0, misplaced: 0, corrupt: 0, foreign: 0, kept: 0, ring_full: 0 };
  let isKeeping = false;

  /** Whether this core gets the packets of the flow, and would get those of the answers. */
  function isPlaced(remote: number, remotePort: number): boolean {
    const flow = { protocol: IP_PROTOCOL_UDP, source: remote, destination: own };
    const back = { protocol: IP_PROTOCOL_UDP, source: own, destination: remote };
    return (
      core.rssCoreFor({ ...flow, sourcePort: remotePort, destinationPort: REFLECTOR_PORT }) === core.index &&
      core.rssCoreFor({ ...back, sourcePort: REFLECTOR_PORT, destinationPort: remotePort }) === core.index
    );
  }

  function check(ip: number, length: number): boolean {
    const udp = ip + IPV4_HEADER_BYTES;
    if (!isUdpIntact(core.memory, ip, udp, length - IPV4_HEADER_BYTES)) totals.corrupt++;
    else if (udpDestinationPort(u8, udp) !== REFLECTOR_PORT) totals.foreign++;
    else {
      const payload = ip + HEADERS;
      const flow = flowOf(u8, payload);
      const isSound = isFlowIntact(u8, payload) && udpSourcePort(u8, udp) === FIRST_PORT + flow;
      if (!isSound) {
        totals.corrupt++;
        return false;
      }
      if (last[flow] === -1) {
        totals.flows++;
        if (!isPlaced(ipv4Source(u8, ip), udpSourcePort(u8, udp))) totals.misplaced++;
      }
      if (sequenceOf(u8, payload) <= last[flow]!) totals.disorder++;
      last[flow] = sequenceOf(u8, payload);
      totals.packets++;
      return true;
    }
    return false;
  }

  function obey(order: number): void {
    if (order === THROW) throw new Error(`told to fail on core ${core.index}`);
    if (order === KEEP) isKeeping = true;
    if (order > BLOCK) Atomics.wait(bell, 0, 0, order - BLOCK);
  }

  return {
    poll(): number {
      const count = core.getRxCount();
      for (let i = 0; i < count; i++) {
        const buffer = core.getBufferRx();
        if (buffer === null) break;
        const ip = buffer.offset;
        if (!check(ip, buffer.length)) {
          core.release(buffer);
          continue;
        }
        obey(orderOf(u8, ip + HEADERS));
        if (isKeeping) {
          totals.kept++;
          continue;
        }
        const udp = ip + IPV4_HEADER_BYTES;
        const remote = ipv4Source(u8, ip);
        const remotePort = udpSourcePort(u8, udp);
        setCore(u8, ip + HEADERS, core.index);
        writeIpv4Header(core.memory, ip, buffer.length, IP_PROTOCOL_UDP, own, remote);
        writeUdpHeader(core.memory, ip, udp, buffer.length - IPV4_HEADER_BYTES, REFLECTOR_PORT, remotePort);
        if (core.addBufferToRing(buffer)) continue;
        totals.ring_full++;
        core.release(buffer);
      }
      return count;
    },
    report: () => ({ ...totals }),
  };
}
