/**
 * The protocol of iperf3 on its control connection: states of one byte, and JSON texts behind a length of four bytes.
 * iperf3 has no specification; iperf 3.12 was the peer.
 */
import type { Connection } from '../../tcpip/index.js';

export const IPERF_PORT = 5201;
/** Every connection begins with the cookie of its test: 36 characters and a NUL. */
export const COOKIE_BYTES = 37;

export const TEST_START = 1;
export const TEST_RUNNING = 2;
export const TEST_END = 4;
export const PARAM_EXCHANGE = 9;
export const CREATE_STREAMS = 10;
export const CLIENT_TERMINATE = 12;
export const EXCHANGE_RESULTS = 13;
export const DISPLAY_RESULTS = 14;
export const IPERF_DONE = 16;
/** Another test is running. */
export const ACCESS_DENIED = 0xff;
/** Two numbers of four bytes follow: iperf's number of the error, and an errno. */
export const SERVER_ERROR = 0xfe;
/** iperf's IEUNIMP: the option is not implemented. */
export const ERROR_UNIMPLEMENTED = 13;

/** Longest JSON text. That of 128 streams has about 20 kB. */
export const MAX_JSON_BYTES = 262_144;
/** Largest block, as in iperf3. */
const MAX_BLOCK_BYTES = 1_048_576;
const DEFAULT_BLOCK_BYTES = 131_072;
const MAX_STREAMS = 128;

/** What the client asked for. */
export interface TestParameters {
  /** Streams in one direction. */
  readonly streams: number;
  /** Bytes of a write. */
  readonly block: number;
  readonly serverSends: boolean;
  readonly serverReceives: boolean;
  /** Bytes that all our streams send together; 0: until the client ends the test. */
  readonly limit: number;
  /** Bits per second that each of our streams sends; 0: as many as possible. */
  readonly rate: number;
  /** Seconds at the beginning that do not count. */
  readonly omit: number;
}

/** Reads the client's parameters. Null: it asked for something that is not TCP, or for nonsense. */
export function readParameters(text: string): TestParameters | null {
  const json = parse(text);
  if (json === null || json.tcp !== true) return null;
  const whole = (name: string, fallback: number): number => {
    const value = json[name] ?? fallback;
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : fallback;
  };
  const streams = whole('parallel', 1);
  const block = whole('len', DEFAULT_BLOCK_BYTES);
  if (streams < 1 || streams > MAX_STREAMS || block < 1 || block > MAX_BLOCK_BYTES) return null;
  const isBoth = Boolean(json.bidirectional);
  const isReverse = Boolean(json.reverse);
  return {
    streams,
    block,
    serverSends: isBoth || isReverse,
    serverReceives: isBoth || !isReverse,
    limit: whole('num', 0) || whole('blockcount', 0) * block,
    rate: whole('bandwidth', 0),
    omit: whole('omit', 0),
  };
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** What one stream did. */
export interface StreamResult {
  readonly id: number;
  readonly bytes: number;
  /** -1 for a stream that receives. */
  readonly retransmits: number;
}

/** Returns our results as iperf3 has them. */
export function resultsText(streams: readonly StreamResult[], seconds: number, cpu: NodeJS.CpuUsage): string {
  const percent = (us: number): number => (seconds > 0 ? us / (seconds * 10_000) : 0);
  return JSON.stringify({
    cpu_util_total: percent(cpu.user + cpu.system),
    cpu_util_user: percent(cpu.user),
    cpu_util_system: percent(cpu.system),
    sender_has_retransmits: streams.some(({ retransmits }) => retransmits >= 0) ? 1 : -1,
    congestion_used: 'cubic',
    streams: streams.map((stream) => ({
      ...stream,
      ...{ jitter: 0, errors: 0, omitted_errors: 0, packets: 0, omitted_packets: 0 },
      ...{ start_time: 0, end_time: seconds },
    })),
  });
}

export function sendState(c: Connection, state: number): void {
  c.write(Uint8Array.of(state));
}

/** Sends a text. It is far shorter than an empty send buffer, and the control connection's is empty. */
export function sendText(c: Connection, text: string): void {
  const content = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  c.write(Buffer.concat([length, content]));
}

export function sendUnimplemented(c: Connection): void {
  const message = Buffer.alloc(9);
  message[0] = SERVER_ERROR;
  message.writeUInt32BE(ERROR_UNIMPLEMENTED, 1);
  c.write(message);
}
