/** The analysis of captures finds each kind of fault, and none in a sound connection. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { parseIpv4 } from '../../../src/wire/address.js';
import { IP_PROTOCOL_TCP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../../src/wire/ipv4.js';
import { wireMemory } from '../../../src/wire/memory.js';
import { TCP_ACK, TCP_HEADER_BYTES, TCP_RST, TCP_SYN, writeTcpHeader } from '../../../src/wire/tcp.js';
import { analyse, type Findings } from '../../support/peers/capture.js';
import { command, describeWith } from '../../support/requirements.js';
import { temporaryDirectory } from '../../support/resources.js';

const CLIENT = '10.0.0.9';
const SERVER = '10.0.0.1';
/** Link type of a capture file whose packets begin with the IP header. */
const LINKTYPE_RAW = 101;
const DATA = 1000;
const WINDOW = 60_000;

describeWith('the analysis of captures', [command('tshark')], () => {
  const directory = temporaryDirectory();
  let packets: Uint8Array[] = [];

  /** Adds a packet of the server, or of the client. */
  function send(from: string, flags: number, seq: number, ack: number, bytes = 0, window = WINDOW): Uint8Array {
    const length = TCP_HEADER_BYTES + bytes;
    const packet = wireMemory(new Uint8Array(IPV4_HEADER_BYTES + length));
    const [to, source, destination] = from === SERVER ? [CLIENT, 80, 5000] : [SERVER, 5000, 80];
    writeIpv4Header(packet, 0, packet.u8.length, IP_PROTOCOL_TCP, parseIpv4(from), parseIpv4(to));
    const tcp = IPV4_HEADER_BYTES;
    writeTcpHeader(packet, 0, tcp, length, TCP_HEADER_BYTES, source, destination, seq, ack, flags, window);
    packets.push(packet.u8);
    return packet.u8;
  }

  function analysed(): Promise<Findings> {
    const header = Buffer.alloc(24);
    header.writeUInt32LE(0xa1b2c3d4, 0);
    header.writeUInt16LE(2, 4);
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(65_535, 16);
    header.writeUInt32LE(LINKTYPE_RAW, 20);
    const records = packets.flatMap((packet, i) => {
      const record = Buffer.alloc(16);
      // A millisecond apart, as on a short path, except for the last: tshark takes what comes soon for reordering.
      record.writeUInt32LE(i + 1 === packets.length ? 1 : 0, 0);
      record.writeUInt32LE(i * 1000, 4);
      record.writeUInt32LE(packet.length, 8);
      record.writeUInt32LE(packet.length, 12);
      return [record, packet];
    });
    const path = join(directory.path, 'made.pcap');
    writeFileSync(path, Buffer.concat([header, ...records]));
    return analyse(path);
  }

  const kinds = (findings: Findings, from: string): string[] =>
    findings.lines(undefined, from).map((line) => line.slice(0, line.indexOf(':')));

  beforeEach(() => {
    packets = [];
    send(CLIENT, TCP_SYN, 0, 0);
    send(SERVER, TCP_SYN | TCP_ACK, 0, 1);
    send(CLIENT, TCP_ACK, 1, 1);
    send(SERVER, TCP_ACK, 1, 1, DATA);
    send(SERVER, TCP_ACK, 1 + DATA, 1, DATA);
  });

  afterAll(() => directory.remove());

  it('finds nothing in a sound connection', async () => {
    send(CLIENT, TCP_ACK, 1, 1 + 2 * DATA);
    expect((await analysed()).lines()).toEqual([]);
  });

  it('names the frame', async () => {
    send(SERVER, TCP_RST, 1 + 2 * DATA, 0);
    const [line] = (await analysed()).lines(['reset'], SERVER);
    expect(line).toBe(
      'reset: frame 6 at 1.005000000 s: 10.0.0.1:80 > 10.0.0.9:5000 seq 2001 ack 0 len 0 window_size 60000 checksum 0x95cd',
    );
  });

  it.each([
    ['a bad checksum', 'bad checksum', () => void send(SERVER, TCP_ACK, 1 + 2 * DATA, 1, DATA).fill(1, 1000, 1001)],
    ['a header that is too long', 'malformed', () => void send(SERVER, TCP_ACK, 1 + 2 * DATA, 1).fill(0xf0, 32, 33)],
    ['a retransmission', 'retransmission', () => void send(SERVER, TCP_ACK, 1 + DATA, 1, DATA)],
    ['a gap', 'gap', () => void send(SERVER, TCP_ACK, 1 + 3 * DATA, 1, DATA)],
    ['a zero window', 'zero window', () => void send(SERVER, TCP_ACK, 1 + 2 * DATA, 1, 0, 0)],
    [
      'bytes that were acknowledged already',
      'spurious retransmission',
      () => {
        send(CLIENT, TCP_ACK, 1, 1 + 2 * DATA);
        send(SERVER, TCP_ACK, 1, 1, DATA);
      },
    ],
  ])('finds %s', async (_, kind, fault) => {
    fault();
    const findings = await analysed();
    expect(kinds(findings, SERVER)).toContain(kind);
    expect(kinds(findings, CLIENT)).toEqual([]);
  });
});
