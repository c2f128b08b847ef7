/** Captures and filters, judged by tcpdump and tshark. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileFilter } from '../../observe/capture/filter/parse.js';
import { PacketBlocks } from '../../observe/capture/packet-blocks.js';
import { interfaceBlock, sectionBlock, statisticsBlock } from '../../observe/capture/pcapng.js';
import { DIRECTION_IN, DIRECTION_OUT } from '../../observe/capture/sink.js';
import { sampleFrames } from '../support/observe/sample-frames.js';
import { command, describeWith } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const FRAMES = sampleFrames();
const START = 1_800_000_000;

/** Expressions whose matches tcpdump finds, too. */
const EXPRESSIONS = [
  ...['tcp', 'udp', 'icmp', 'arp', 'ip', 'ip6', 'sctp', 'vlan', 'vlan 1', 'vlan 5 and vlan 0'],
  ...['host 10.0.0.1', 'src host 10.0.1.9', 'dst host 10.0.0.2', 'src 10.0.0.1', 'src and dst 10.0.0.1'],
  ...['net 10.0.0.0/24', 'src net 192.168.0.0/16', 'net 10', 'net 10.0.1', 'ip host 10.0.0.1', 'arp host 10.0.0.1'],
  ...['port 53', 'src port 22', 'dst port 443', 'src or dst port 80', 'tcp port 80', 'udp src port 8080'],
  ...['portrange 50-443', 'tcp dst portrange 0-80', 'port 80 or 443', 'host 10.0.0.1 or 192.168.7.1'],
  ...['ether host 52:54:00:00:00:01', 'ether src 52:54:00:00:00:02', 'ether dst ff:ff:ff:ff:ff:ff'],
  ...['not tcp', 'not port 53 and not arp', 'tcp or udp and port 53', 'tcp and port 80 or udp and port 53'],
  ...['(tcp or udp) and (port 80 or port 53)', '!(tcp || udp)', 'not (host 10.0.0.1 and port 22)'],
  ...['udp[2:2] = 53', 'udp[0:4] & 0xffff > 80', 'tcp[tcpflags] & tcp-syn != 0'],
  ...['ether[0:4] = 0x52540000', 'ether[12:2] != 0x800', 'ip[9] = 17 or ip[12:4] >= 0x0a000100', 'ip6[6] = 17'],
  ...['arp[24:4] = 0x0a000001', 'icmp[icmptype] = icmp-echo', 'ip[6:2] & 0x1fff != 0', 'ip[8]<=64'],
  ...['vlan and udp[2:2] = 53', 'vlan and ether[12:2]=0x8100', 'tcp[0:2] == 443 and not tcp[2:2] < 100'],
  ...['vlan and host 10.0.0.1', 'vlan 2 and port 53', 'udp or vlan and port 80'],
];

describeWith('a capture', [command('tcpdump'), command('tshark')], () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let file: string;

  beforeAll(() => {
    directory = temporaryDirectory();
    file = join(directory.path, 'sample.pcapng');
    const time = (i: number) => ({ seconds: START + i, nanoseconds: 123_456_789 });
    const packets = new PacketBlocks();
    for (const [i, u8] of FRAMES.entries()) {
      packets.add({
        ...{ interface: i % 2, time: time(i), direction: i % 3 === 0 ? DIRECTION_OUT : DIRECTION_IN },
        ...{ u8, at: 0, kept: u8.length, length: u8.length + (i % 5) },
        comment: Buffer.from(i % 4 === 0 ? `drop: reason ${i} – „ü“` : '', 'utf8'),
      });
    }
    const about = { description: 'a port', snaplen: 0, filter: '' };
    writeFileSync(
      file,
      Buffer.concat([
        sectionBlock('tspmd'),
        interfaceBlock({ name: 'tap0', ...about }),
        interfaceBlock({ name: 'drops', ...about, filter: 'host 10.0.0.1' }),
        packets.take(),
        statisticsBlock({ interface: 0, time: time(FRAMES.length), received: 2 ** 40 + 3, lost: 7 }),
      ]),
    );
  });

  afterAll(() => {
    directory.remove();
  });

  function run(program: string, ...args: string[]): string {
    const { stdout, stderr, status } = spawnSync(program, args, {
      encoding: 'utf8',
      timeout: 30_000,
      maxBuffer: 1 << 26,
    });
    expect(status, stderr).toBe(0);
    const complaints = stderr
      .split('\n')
      .filter((line) => line !== '' && !/^(reading from|Running as user)/.test(line));
    expect(complaints).toEqual([]);
    return stdout;
  }

  it('is read by tshark without a warning: times, directions, interfaces, comments', () => {
    const fields = [
      'frame.time_epoch',
      'frame.interface_name',
      'frame.packet_flags_direction',
      'frame.comment',
      'frame.len',
    ];
    const rows = run(
      'tshark',
      '-r',
      file,
      '-T',
      'fields',
      ...fields.flatMap((field) => ['-e', field]),
      '-E',
      'separator=|',
    )
      .trimEnd()
      .split('\n')
      .map((line) => line.split('|'));
    expect(rows).toHaveLength(FRAMES.length);
    for (const [i, [time, name, direction, comment, length]] of rows.entries()) {
      expect(time).toBe(`${START + i}.123456789`);
      expect(name).toBe(i % 2 === 0 ? 'tap0' : 'drops');
      expect(Number(direction)).toBe(i % 3 === 0 ? 2 : 1);
      expect(comment).toBe(i % 4 === 0 ? `drop: reason ${i} – „ü“` : '');
      expect(Number(length)).toBe(FRAMES[i]!.length + (i % 5));
    }
  });

  it.each(EXPRESSIONS)('has the frames that tcpdump finds: %s', (expression) => {
    const filter = compileFilter(expression).match;
    const ours = FRAMES.flatMap((frame, i) => (filter(frame, 0, frame.length) ? [START + i] : []));
    // tcpdump looks at one type of interface; both are Ethernet.
    const lines = run('tcpdump', '-r', file, '-n', '-tt', '-q', expression).split('\n');
    const theirs = lines.flatMap((line) => /^(\d{10})\./.exec(line)?.[1] ?? []).map(Number);
    expect(ours).toEqual(theirs);
  });
});
