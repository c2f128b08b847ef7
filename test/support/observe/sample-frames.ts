/** Frames of many kinds, for filters and captures: also short, tagged, fragmented and malformed ones. */
import { arp, ethernet, icmpEcho, ipv4, udp } from '../link/frames.js';

const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.1.9', '192.168.7.1'];
const PORTS = [22, 53, 80, 443, 8080];

const bytes = (frame: ArrayLike<number>): Uint8Array => Uint8Array.from(frame);

/** Puts a VLAN tag behind the addresses. */
export function tagged(frame: Uint8Array, id: number, type = 0x8100): Uint8Array {
  return bytes([...frame.subarray(0, 12), type >> 8, type & 0xff, id >> 8, id & 0xff, ...frame.subarray(12)]);
}

/** A segment of TCP: its header only. */
function tcp(from: number, to: number): number[] {
  return [from >> 8, from & 0xff, to >> 8, to & 0xff, ...[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]];
}

function ipv6(next: number, payload: number[]): number[] {
  const address = [0xfd, ...Array<number>(14).fill(0), 1];
  return [0x60, 0, 0, 0, 0, payload.length, next, 64, ...address, ...address, ...payload];
}

export function sampleFrames(): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const source of ADDRESSES) {
    for (const destination of ADDRESSES) {
      for (const from of PORTS) {
        for (const to of PORTS) {
          const addresses = { source, destination };
          frames.push(ethernet(ipv4(udp([1, 2, 3], from, to), { ...addresses, protocol: 17 })));
          frames.push(ethernet(ipv4(tcp(from, to), { ...addresses, protocol: 6 })));
        }
      }
      frames.push(ethernet(ipv4(icmpEcho([1]), { source, destination, protocol: 1 })));
      frames.push(arp({ senderIp: source, targetIp: destination }));
      // A later fragment has no ports: these bytes are data.
      frames.push(ethernet(ipv4(udp([0], 53, 53), { source, destination, protocol: 17, fragment: 0x0010 })));
    }
  }
  const plain = frames.filter((_, i) => i % 7 === 0);
  for (const [i, frame] of plain.entries()) {
    frames.push(tagged(frame, i % 3), tagged(tagged(frame, 5), 100, 0x88a8));
  }
  for (const next of [6, 17, 58]) frames.push(ethernet(ipv6(next, [...tcp(443, 53)]), { type: 0x86dd }));
  frames.push(ethernet(ipv6(44, [17, 0, 0, 0, 0, 0, 0, 1, ...udp([], 53, 53)]), { type: 0x86dd }));
  frames.push(ethernet([1, 2, 3], { type: 0x88cc }));
  return frames;
}
