/** Filter expressions: what they match, and what is said of those that are wrong. tcpdump judges them elsewhere. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../../../observe/capture/filter/parse.js';
import { arp, ethernet, ipv4, udp } from '../../../support/link/frames.js';
import { sampleFrames, tagged } from '../../../support/observe/sample-frames.js';

const dns = ethernet(ipv4(udp([1], 5353, 53), { source: '10.0.0.2', destination: '10.0.0.1', protocol: 17 }));

/** The second and the fourth do not match {@link dns}. */
const COMBINED = ['udp and port 53', 'udp and not port 53', 'tcp or port 53', 'tcp or arp', 'not (tcp and udp)'];

/** Looks at the frame in the middle of other memory. */
function matches(expression: string, frame: Uint8Array): boolean {
  const u8 = new Uint8Array(frame.length + 200).fill(0x35);
  u8.set(frame, 100);
  return compileFilter(expression).match(u8, 100, frame.length);
}

describe('a filter', () => {
  it.each([
    ['', true],
    ['udp', true],
    ['tcp', false],
    ['host 10.0.0.1', true],
    ['src host 10.0.0.1', false],
    ['src 10.0.0.2 and dst 10.0.0.1', true],
    ['src and dst net 10.0.0.0/24', true],
    ['net 10.0', true],
    ['net 10.0.1.0/24', false],
    ['port 53', true],
    ['src port 53', false],
    ['udp dst port 53', true],
    ['tcp port 53', false],
    ['portrange 50-60', true],
    ['port 80 or 443 or 53', true],
    ['not port 53', false],
    ['not (tcp or arp)', true],
    ['! tcp && udp', true],
    ['tcp or udp and port 80', false],
    ['udp and port 80 or port 53', true],
    ['ether host 52:54:00:00:00:01', true],
    ['ether src 52-54-00-00-00-01', false],
    ['vlan', false],
    ['ip', true],
    ['arp host 10.0.0.1', false],
    ['udp[2:2] = 53', true],
    ['udp[2:2]==0x35', true],
    ['udp[0:4] & 0xffff = 53 and udp[4:2] <= 9', true],
    ['udp[4:2]>9', false],
    ['ip[9] != 17', false],
    ['ip[12:4] = 0x0a000002', true],
    ['tcp[2:2] = 53', false],
    ['ether[0:4] = 0x52540000 && ether[12:2] < 0x801', true],
    ['not udp[8] & 1 = 1', false],
    ['udp[9] >= 0', false],
    ['ether[ 12 : 2 ] = 2048', true],
  ])('%s', (expression, expected) => {
    expect(matches(expression, dns)).toBe(expected);
  });

  it('looks behind a tag when it names one before, as tcpdump does', () => {
    const frame = tagged(dns, 7);
    const yes = ['vlan', 'vlan 7', 'vlan 7 and port 53', 'vlan and host 10.0.0.1'];
    const no = ['vlan 8', 'port 53', 'host 10.0.0.1', 'vlan 7 and vlan', 'port 53 and vlan 7'];
    expect([...yes, ...no].filter((expression) => matches(expression, frame))).toEqual(yes);
    expect(matches('vlan 5 and vlan 7 and port 53', tagged(frame, 5, 0x88a8))).toBe(true);
  });

  it('knows the addresses of ARP', () => {
    const request = arp({ senderIp: '10.0.0.2', targetIp: '10.0.0.1' });
    expect(['arp', 'host 10.0.0.1', 'arp src host 10.0.0.2'].every((text) => matches(text, request))).toBe(true);
    expect(['ip', 'ip host 10.0.0.1', 'port 53'].some((text) => matches(text, request))).toBe(false);
  });

  it('reads nothing beyond a frame, wherever it is cut', () => {
    const filters = ['host 10.0.0.1', 'port 53', 'tcp', 'vlan 5 and udp', 'ether host 35:35:35:35:35:35', 'net 53.53'];
    for (const frame of sampleFrames()) {
      for (const filter of filters.map((text) => compileFilter(text).match)) {
        for (let length = 0; length < frame.length; length += 1 + (length >> 3)) {
          const cut = frame.slice(0, length);
          const inside = new Uint8Array(frame.length + 64).fill(0x35);
          inside.set(cut, 8);
          // The same with other bytes behind it: they must not matter.
          const other = inside.slice().fill(0xaa, 8 + length);
          expect(filter(inside, 8, length)).toBe(filter(other, 8, length));
        }
      }
    }
  });
});

describe('a filter where Node makes no code from text', () => {
  it('matches the same frames', () => {
    const path = fileURLToPath(new URL('../../../../dist/observe/capture/filter/parse.js', import.meta.url));
    const program = `import { compileFilter } from ${JSON.stringify(path)};
      const frame = Uint8Array.from(${JSON.stringify([...dns])});
      const results = ${JSON.stringify(COMBINED)}.map((filter) => compileFilter(filter).match(frame, 0, frame.length));
      console.log(JSON.stringify(results));`;
    const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '--eval'];
    const output = execFileSync(process.execPath, [...flags, program], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual([true, false, true, false, true]);
  });
});

describe('a wrong filter', () => {
  it.each([
    ['hots 10.0.0.1', "filter: 'hots' at 1: known are host, net, port, "],
    ['host', 'filter: ends where a value for host was expected'],
    ['host 10.0.0', "filter: '10.0.0' at 6: an IPv4 address such as 10.0.0.1 was expected"],
    ['host 10.0.0.256', "filter: '10.0.0.256' at 6: an IPv4 address"],
    ['net 10.0.0.0/33', "filter: '10.0.0.0/33' at 5: a network such as 10.0.0.0/24 was expected"],
    ['port 65536', "filter: '65536' at 6: a port from 0 to 65535 was expected"],
    ['portrange 90-80', "filter: '90-80' at 11: a range such as 80-90 was expected"],
    ['icmp port 8', "filter: '8' at 11: port goes with tcp, udp or sctp"],
    ['ether host 10.0.0.1', "filter: '10.0.0.1' at 12: a MAC address such as 52:54:00:00:00:01"],
    ['ether', "filter: 'ether' is followed by host"],
    ['vlan 4096', "filter: '4096' at 6: a VLAN from 0 to 4095"],
    ['(tcp', "filter: ')' is missing"],
    ['tcp)', "filter: ')' at 4: 'and' or 'or' is missing before it"],
    ['tcp udp', "filter: 'udp' at 5: 'and' or 'or' is missing before it"],
    ['tcp |', "filter: '|' at 5 begins no word"],
    ['tcp &', "filter: '&' at 5: 'and' or 'or' is missing before it"],
    ['udp[]', "filter: '[]' at 4: an offset and a size of 1, 2 or 4 were expected, such as [12:4]"],
    ['udp[12:3] = 1', "filter: '[12:3]' at 4: an offset and a size of 1, 2 or 4"],
    ['udp[99999] = 1', "filter: '[99999]' at 4: an offset and a size of 1, 2 or 4"],
    ['udp [12', "filter: '[' at 5 begins no word"],
    ['udp[12]', 'filter: ends where a comparison was expected'],
    ['udp[12] & 0xff', 'filter: ends where a comparison was expected'],
    ['udp[12] and', "filter: 'and' at 9: one of = != < <= > >= was expected"],
    ['udp[12] = x', "filter: 'x' at 11: a number of 32 bits was expected, such as 10 or 0x0a"],
    ['udp[12] = 0x100000000', "filter: '0x100000000' at 11: a number of 32 bits"],
    ['udp[12] & 010 = 0', "filter: '010' at 11: a mask of 32 bits was expected"],
    ['host[12] = 1', "filter: '[12]' at 5: an IPv4 address"],
    ['not', 'filter: ends where a primitive was expected'],
    ['('.repeat(100), 'filter: nested more than 64 times'],
    ['x'.repeat(5000), 'filter: longer than 4096 characters'],
  ])('%s', (expression, expected) => {
    expect(() => compileFilter(expression)).toThrow(expected);
  });
});
