/**
 * txonly: sends UDP frames as fast as the device takes them, as the forward mode of that name in dpdk-testpmd does. It
 * releases the frames that it receives meanwhile.
 *
 * Options: `to` (MAC address, default broadcast), `size` (bytes of the frame, default 64), `ip` (destination address,
 * default 198.18.0.2, which is reserved for benchmarks, RFC 2544 C.2.2). Both UDP ports are 9, discard (RFC 863).
 */

import { AppError } from '../errors.js';
import { BURST } from '../link/bursts/tx-burst.js';
import type { Core } from '../link/core.js';
import type { Stack, StackOptions } from '../stack.js';
import { parseIpv4, parseMac } from '../wire/address.js';
import { copyMac, ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthSourceAndType } from '../wire/ethernet.js';
import { IP_PROTOCOL_UDP, IPV4_HEADER_BYTES, writeIpv4Header } from '../wire/ipv4.js';
import { UDP_HEADER_BYTES, writeUdpHeader } from '../wire/udp.js';
import { checkOptions } from './options.js';

export const layer = 'ethernet';

const FRAMES_PER_POLL = BURST;
/**
 * Offset of the last two bytes of the source address, with the EtherType: an aligned 32-bit word in a packet buffer.
 */
const TYPE_WORD = ETH_HEADER_BYTES - 4;
const DISCARD_PORT = 9;
const HEADERS = ETH_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES;

let marks = 0;

class TxOnly implements Stack {
  private frames = 0;
  private ringFull = 0;
  /** The mark of buffers that hold our frame. */
  private readonly mark = ++marks;
  /** The word that our frame has at {@link TYPE_WORD}. */
  private readonly sourceAndType: number;

  constructor(
    private readonly core: Core,
    private readonly frame: Uint8Array,
  ) {
    this.sourceAndType = new Uint32Array(frame.slice(TYPE_WORD, TYPE_WORD + 4).buffer)[0];
  }

  /**
   * A closure: docs/v8.md, "Bursts as closures".
   *
   * A buffer that was sent comes back with our frame in it, and is not filled again. A buffer that has received a frame
   * since is filled again: either we have taken its mark off, or a reset has taken it from the device, and then the
   * driver has cleared its EtherType.
   */
  readonly poll = (): number => {
    const { core, frame, mark, sourceAndType } = this;
    const u32 = core.memory.u32;
    const received = core.getRxCount();
    for (let i = 0; i < received; i++) {
      const buffer = core.getBufferRx();
      if (buffer === null) break;
      buffer.mark = 0;
      core.release(buffer);
    }
    let sent = 0;
    while (sent < FRAMES_PER_POLL) {
      const buffer = core.getBufferTx();
      if (buffer === null) break;
      if (buffer.mark !== mark || u32[(buffer.offset + TYPE_WORD) >> 2] !== sourceAndType) {
        buffer.bytes.set(frame);
        buffer.mark = mark;
      }
      buffer.length = frame.length;
      if (!core.addBufferToRing(buffer)) {
        this.ringFull++;
        core.release(buffer);
        break;
      }
      sent++;
    }
    this.frames += sent;
    return received + sent;
  };

  /** A full transmit ring does not tell when it has room again. */
  maxSleepMs(): number {
    return 1;
  }

  report(): Record<string, number> {
    return { txonly_frames: this.frames, txonly_ring_full: this.ringFull };
  }
}

function makeFrame(core: Core, options: StackOptions): Uint8Array {
  const size = Number(options.size ?? 64);
  const longest = core.mtu + ETH_HEADER_BYTES;
  if (!(Number.isInteger(size) && size >= HEADERS && size <= longest)) {
    throw new AppError(`txonly: size ${String(options.size)} is not a whole number from ${HEADERS} to ${longest}`);
  }
  const to = parseMac(String(options.to ?? 'ff:ff:ff:ff:ff:ff'));
  const destination = parseIpv4(String(options.ip ?? '198.18.0.2'));
  // Aligned as in a packet buffer: two bytes in front of the frame put the IP header at offset 16.
  const room = new ArrayBuffer((size + 2 + 3) & ~3);
  const memory = { u8: new Uint8Array(room), u16: new Uint16Array(room), u32: new Uint32Array(room) };
  const start = 2;
  const ip = start + ETH_HEADER_BYTES;
  const udp = ip + IPV4_HEADER_BYTES;
  copyMac(memory.u16, start >>> 1, macWords(to), 0);
  writeEthSourceAndType(memory.u16, start, macWords(core.mac), ETHERTYPE_IPV4_WORD);
  writeIpv4Header(memory, ip, start + size - ip, IP_PROTOCOL_UDP, core.address, destination);
  writeUdpHeader(memory, ip, udp, start + size - udp, DISCARD_PORT, DISCARD_PORT);
  return memory.u8.slice(start, start + size);
}

export default function createTxOnly(core: Core, options: StackOptions): Stack {
  checkOptions('txonly', options, ['to', 'size', 'ip']);
  return new TxOnly(core, makeFrame(core, options));
}
