/** Checks every packet of a stream and sends it back as it came: a chain as a chain, and its offloads as they are. */
import type { Core } from '../../../src/link/core.js';
import type { Stack } from '../../../src/stack.js';
import { IPV4_HEADER_BYTES, swapIpv4Addresses } from '../../../src/wire/ipv4.js';
import { swapUdpPorts } from '../../../src/wire/udp.js';
import { StreamCheck } from './stream-check.js';

export default function createReflector(core: Core): Stack {
  const check = new StreamCheck(core);
  const { u8 } = core.memory;
  let ringFull = 0;
  return {
    poll(): number {
      const count = core.getRxCount();
      for (let i = 0; i < count; i++) {
        const packet = core.getBufferRx();
        if (packet === null) break;
        if (!check.check(packet)) {
          core.release(packet);
          continue;
        }
        swapIpv4Addresses(u8, packet.offset);
        // The ports of TCP lie where those of UDP do.
        swapUdpPorts(u8, packet.offset + IPV4_HEADER_BYTES);
        if (core.addBufferToRing(packet)) continue;
        ringFull++;
        core.release(packet);
      }
      return count;
    },
    report: () => ({ ...check.counts, ring_full: ringFull }),
  };
}
