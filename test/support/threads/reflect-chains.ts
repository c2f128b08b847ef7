/**
 * A stack that sends back what it gets, whatever buffers it lies in, and now and then a packet of its own in two
 * buffers, which asks for segments. It allocates nothing.
 */
import type { Core, PacketBuffer } from '../../../src/index.js';
import type { Stack } from '../../../src/stack.js';
import { ethernet, OUR_MAC, PEER_MAC } from '../link/frames.js';
import { tcpPacket } from '../link/tcp-packets.js';

/** After so many packets one of its own goes. */
const OWN_EVERY = 8;
const HEADERS = 54;
const PAYLOAD = 3000;

export function reflectChains(core: Core): Stack {
  const { bytes } = tcpPacket(new Uint8Array(PAYLOAD), { checksum: 'partial' });
  const headers = ethernet(bytes.slice(0, HEADERS - 14), { source: OUR_MAC, destination: PEER_MAC });
  let turns = 0;
  let read = 0;
  let chains = 0;

  const send = (packet: PacketBuffer): void => {
    if (!core.addBufferToRing(packet)) core.release(packet);
  };
  const sendOwn = (): void => {
    const head = core.getBufferTx();
    const rest = core.getBufferTx();
    if (head === null || rest === null) {
      if (head !== null) core.release(head);
      return;
    }
    for (let i = 0; i < HEADERS; i++) core.memory.u8[head.offset + i] = headers[i]!;
    head.length = HEADERS;
    rest.length = PAYLOAD;
    head.append(rest, 4);
    head.requestChecksum(34, 16);
    head.requestSegmentation(1000);
    send(head);
  };
  return {
    poll(): number {
      const count = core.getRxCount();
      for (let i = 0; i < count; i++) {
        const packet = core.getBufferRx()!;
        if (packet.next !== null) chains++;
        for (let part: PacketBuffer | null = packet; part !== null; part = part.next) {
          read = (read + core.memory.u8[part.offset + part.length - 1]!) | 0;
        }
        if (++turns % OWN_EVERY === 0) {
          core.release(packet);
          sendOwn();
        } else {
          send(packet);
        }
      }
      return count;
    },
    report: () => ({ read, chains }),
  };
}
