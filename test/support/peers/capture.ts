/** Captures of a test's traffic by tcpdump, and what tshark's expert analysis finds in them. */
import { Child } from '../../../scripts/child.js';

export type Kind =
  | 'bad checksum'
  | 'malformed'
  /** Bytes that were sent before. Their first transmission is in the capture, or was lost before it. */
  | 'retransmission'
  /** Bytes that the peer has acknowledged already. */
  | 'spurious retransmission'
  /** The bytes before these are not in the capture. */
  | 'gap'
  | 'zero window'
  | 'reset';

const isThere = (value: string): boolean => value !== '';
/**
 * A checksum of 0xffff is the other form of 0 (RFC 1624, 3). Linux sends it; tshark calls it bad: one frame in 65,536.
 */
const TCP_CHECKSUM_BAD = 'tcp.checksum.status==0 and not tcp.checksum==0xffff';
/** tshark prints numbers or words, depending on its version. */
const isBad = (value: string): boolean => /\b(0|Bad)\b/.test(value);
const isSet = (value: string): boolean => /^(1|True)$/.test(value);

/** The fields of tshark that show a finding: in which frames to look for it, and when the field's value shows it. */
const SIGNS: readonly (readonly [Kind, field: string, filter: string, shows: (value: string) => boolean])[] = [
  ['bad checksum', 'tcp.checksum.status', TCP_CHECKSUM_BAD, isBad],
  ['bad checksum', 'udp.checksum.status', 'udp.checksum.status==0', isBad],
  ['bad checksum', 'ip.checksum.status', 'ip.checksum.status==0', isBad],
  ['bad checksum', 'icmp.checksum.status', 'icmp.checksum.status==0', isBad],
  ['malformed', '_ws.malformed', '_ws.malformed', isThere],
  ['retransmission', 'tcp.analysis.retransmission', 'tcp.analysis.retransmission', isThere],
  ['retransmission', 'tcp.analysis.out_of_order', 'tcp.analysis.out_of_order', isThere],
  ['spurious retransmission', 'tcp.analysis.spurious_retransmission', 'tcp.analysis.spurious_retransmission', isThere],
  ['gap', 'tcp.analysis.lost_segment', 'tcp.analysis.lost_segment', isThere],
  ['zero window', 'tcp.analysis.zero_window', 'tcp.analysis.zero_window', isThere],
  ['reset', 'tcp.flags.reset', 'tcp.flags.reset==1', isSet],
];
/** What is printed of such a frame. */
const SHOWN = ['frame.number', 'frame.time_relative', 'ip.src', 'ip.dst', 'tcp.srcport', 'tcp.dstport'];
const NUMBERS = ['tcp.seq', 'tcp.ack', 'tcp.len', 'tcp.window_size', 'tcp.checksum'];

/** Seconds for tshark to read a capture. */
const LIMIT_S = 60;
const MAX_LOOKS = 200;

type Start = (program: string, ...args: string[]) => Child;

export class Capture {
  private constructor(
    private readonly tcpdump: Child,
    private readonly path: string,
  ) {}

  /**
   * Starts to capture what passes an interface; resolves when no frame is missed any more.
   * @param more arguments of tcpdump
   */
  static async start(start: Start, ifname: string, path: string, more: readonly string[] = []): Promise<Capture> {
    // Debian's tcpdump gives up root before it writes, and then has no right to the folder.
    const tcpdump = start('tcpdump', '-Z', 'root', '-i', ifname, '-B', '65536', ...more, '-w', path);
    await tcpdump.waitFor(/listening on/);
    return new Capture(tcpdump, path);
  }

  /** Ends the capture and has tshark look at it. Throws when frames are missing in it. */
  async finish(): Promise<Findings> {
    return analyse(await this.end());
  }

  /** Ends the capture, and returns its file. Throws when frames are missing in it. */
  async end(): Promise<string> {
    for (let looks = 0; looks < MAX_LOOKS && !(await this.isWritten()); looks++);
    await this.tcpdump.stop('SIGINT');
    const { output } = this.tcpdump;
    if (!/\n0 packets dropped by kernel\s*$/.test(output)) throw new Error(`the capture is incomplete: ${output}`);
    return this.path;
  }

  /** Whether tcpdump has written all frames that it has received. It prints both numbers at this signal. */
  private async isWritten(): Promise<boolean> {
    const from = this.tcpdump.output.length;
    this.tcpdump.signal('SIGUSR1');
    const counts = await this.tcpdump.waitFor(/(\d+) packets? captured\D+(\d+) packets? received/, 5000, from);
    return counts[1] === counts[2];
  }
}

/** Has tshark look at a capture file. */
export async function analyse(path: string): Promise<Findings> {
  const preferences = ['tcp', 'ip', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
  const fields = [...SHOWN, ...NUMBERS, ...SIGNS.map(([, field]) => field)].flatMap((field) => ['-e', field]);
  const filter = SIGNS.map(([, , each]) => `(${each})`).join(' or ');
  const command = ['tshark', '-n', '-r', path, ...preferences, '-Y', filter, '-T', 'fields', ...fields];
  const tshark = Child.spawn('timeout', [String(LIMIT_S), ...command]);
  const { code } = await tshark.exited;
  if (code !== 0) throw new Error(`tshark ended with ${code}: ${tshark.output}`);
  return new Findings(tshark.stdout);
}

/** What was found in a capture. */
export class Findings {
  private readonly all: { readonly kind: Kind; readonly from: string; readonly line: string }[] = [];

  /** @param rows the frames with findings, as tshark prints their fields */
  constructor(rows: string) {
    for (const row of rows.split('\n').filter(isThere)) {
      const values = row.split('\t');
      const [frame, seconds, from = '', to, fromPort, toPort, ...rest] = values;
      const numbers = NUMBERS.map((name, i) => `${name.slice('tcp.'.length)} ${rest[i]}`).join(' ');
      const line = `frame ${frame} at ${seconds} s: ${from}:${fromPort} > ${to}:${toPort} ${numbers}`;
      SIGNS.forEach(([kind, , , shows], i) => {
        const isOtherZero = kind === 'bad checksum' && rest[NUMBERS.length - 1] === '0xffff';
        // tshark reads the payload, too, and takes a part of an upload for what it is not. A segment is intact up to there.
        const isPayload = kind === 'malformed' && Number(rest[NUMBERS.indexOf('tcp.len')]) > 0;
        if (!isOtherZero && !isPayload && shows(rest[NUMBERS.length + i] ?? ''))
          this.all.push({ kind, from, line: `${kind}: ${line}` });
      });
    }
  }

  /** A line per finding, of these kinds or of all, in frames from one address or from all. */
  lines(kinds?: readonly Kind[], from?: string): string[] {
    const wanted = this.all.filter(
      (each) => kinds?.includes(each.kind) !== false && (from === undefined || each.from === from),
    );
    return wanted.map(({ line }) => line);
  }
}
