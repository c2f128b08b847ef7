/**
 * What becomes of a frame whose checksum or segmentation was left to others, computed the slow way: the reference for
 * devices, the switch and the layer.
 */
import { CWR, FIN, ipOf, PSH, pseudoSum, sumOf, TCP, UDP } from './packets.js';

/** The frame with the sum over all bytes from `csumStart` on in its field (virtio 1.2, 5.1.6.2). */
export function completed(frame: Uint8Array, csumStart: number, csumOffset: number): Uint8Array {
  const out = frame.slice();
  const sum = 0xffff - sumOf(out.subarray(csumStart));
  // 0 would say that there is no checksum (RFC 768); for TCP both mean the same.
  new DataView(out.buffer).setUint16(csumStart + csumOffset, sum === 0 ? 0xffff : sum);
  return out;
}

/**
 * The segments of a TCP packet: each has at most `size` bytes of payload and the packet's headers with the right
 * lengths, identification, sequence number and checksums. FIN and PSH only the last one has, CWR only the first.
 */
export function segmentsOf(frame: Uint8Array, csumStart: number, size: number): Uint8Array[] {
  const ip = ipOf(frame)!;
  const headers = csumStart + 4 * (frame[csumStart + 12]! >> 4);
  const given = new DataView(frame.buffer, frame.byteOffset);
  const segments: Uint8Array[] = [];
  for (let at = headers, i = 0; at < frame.length; at += size, i++) {
    const end = Math.min(frame.length, at + size);
    const segment = Uint8Array.from([...frame.subarray(0, headers), ...frame.subarray(at, end)]);
    const view = new DataView(segment.buffer);
    if (ip.version === 4) {
      view.setUint16(ip.at + 2, segment.length - ip.at);
      view.setUint16(ip.at + 4, (given.getUint16(ip.at + 4) + i) & 0xffff);
      view.setUint16(ip.at + 10, 0);
      const header = segment.subarray(ip.at, ip.at + 4 * (segment[ip.at]! & 15));
      view.setUint16(ip.at + 10, 0xffff - sumOf(header));
    } else {
      view.setUint16(ip.at + 4, segment.length - ip.at - 40);
    }
    view.setUint32(csumStart + 4, (given.getUint32(csumStart + 4) + at - headers) >>> 0);
    if (end < frame.length) segment[csumStart + 13]! &= ~(FIN | PSH);
    if (i > 0) segment[csumStart + 13]! &= ~CWR;
    view.setUint16(csumStart + 16, pseudoSum(segment, ip, TCP, segment.length - csumStart));
    segments.push(completed(segment, csumStart, 16));
  }
  return segments;
}

/** What is wrong with a TCP or UDP frame as it goes over a wire: lengths or checksums; an empty string if nothing is. */
export function faultOf(frame: Uint8Array): string {
  const ip = ipOf(frame);
  if (ip === null) return 'no IP packet';
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let transport = ip.at + 40;
  let protocol = frame[ip.at + 6]!;
  if (ip.version === 4) {
    transport = ip.at + 4 * (frame[ip.at]! & 15);
    protocol = frame[ip.at + 9]!;
    if (view.getUint16(ip.at + 2) !== frame.length - ip.at) return `an IPv4 length of ${view.getUint16(ip.at + 2)}`;
    if (sumOf(frame.subarray(ip.at, transport)) !== 0xffff) return 'a wrong checksum of the IPv4 header';
  } else {
    if (view.getUint16(ip.at + 4) !== frame.length - ip.at - 40)
      return `an IPv6 length of ${view.getUint16(ip.at + 4)}`;
    if (protocol === 0) {
      protocol = frame[transport]!;
      transport += 8 * (frame[transport + 1]! + 1);
    }
  }
  if (protocol !== TCP && protocol !== UDP) return `protocol ${protocol}`;
  const part = frame.subarray(transport);
  if (protocol === UDP && view.getUint16(transport + 6) === 0) return 'a UDP checksum of 0';
  const sum = sumOf(part, pseudoSum(frame, ip, protocol, part.length));
  return sum === 0xffff ? '' : `a wrong checksum of protocol ${protocol}`;
}
