/** What is measured of soft RSS, on random tuples: few enough for the cache, too many for a predictor to learn. */
import { IndirectionTable } from '../../src/rss/indirection-table.js';
import { parseRssKey } from '../../src/rss/keys.js';
import { Rss } from '../../src/rss/rss.js';
import { toeplitzIpv4Ports, toeplitzIpv6Ports, toeplitzTables } from '../../src/rss/toeplitz.js';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../../src/wire/ethernet.js';
import { PROTOCOL_TCP } from '../../src/wire/ipv4.js';

const TUPLES = 4096;
const IPV4_WORDS = 3;
const IPV6_WORDS = 9;
/** Of buffers in which frames lie as in packet buffers: the IP header at a multiple of 4. */
const FRAME_STRIDE = 128;
const FRAME_OFFSET = 62;
const CORES = 4;

export interface Work {
  readonly tuples: number;
  /** Hashes all tuples once. Returns what depends on all hashes, so that V8 can't leave one out. */
  run(): number;
}

function randomWords(count: number): Uint32Array {
  const words = new Uint32Array(new SharedArrayBuffer(count * 4));
  for (let i = 0; i < count; i++) words[i] = Math.random() * 2 ** 32;
  return words;
}

function hashIpv4(tables: Int32Array, words: Uint32Array): number {
  let all = 0;
  for (let at = 0; at < TUPLES * IPV4_WORDS; at += IPV4_WORDS) {
    all ^= toeplitzIpv4Ports(tables, words[at]!, words[at + 1]!, words[at + 2]!);
  }
  return all;
}

function hashIpv6(tables: Int32Array, words: Uint32Array): number {
  let all = 0;
  for (let at = 0; at < TUPLES * IPV6_WORDS; at += IPV6_WORDS) {
    all ^= toeplitzIpv6Ports(tables, words, at, at + 4, words[at + 8]!);
  }
  return all;
}

/** The hash alone, over tuples that lie packed: what rte_softrss does. */
export interface ToeplitzWork extends Work {
  readonly key: Uint8Array;
  /** All tuples, in network order. `run` returns the XOR of their hashes. */
  readonly bytes: Uint8Array;
  readonly wordsPerTuple: number;
}

export function toeplitzWork(version: 4 | 6): ToeplitzWork {
  const key = parseRssKey('microsoft');
  const tables = toeplitzTables(key);
  const wordsPerTuple = version === 4 ? IPV4_WORDS : IPV6_WORDS;
  const words = randomWords(TUPLES * wordsPerTuple);
  const hash = version === 4 ? hashIpv4 : hashIpv6;
  return { tuples: TUPLES, run: () => hash(tables, words), key, bytes: new Uint8Array(words.buffer), wordsPerTuple };
}

function chooseCores(rss: Rss, length: number): number {
  let all = 0;
  for (let i = 0; i < TUPLES; i++) all += rss.coreOf(rss.hashFrame(i * FRAME_STRIDE + FRAME_OFFSET, length));
  return all;
}

/** From a frame to its core, as the Rx loop does it: headers looked at, tuple put in order, hash, table. */
export function frameWork(version: 4 | 6): Work {
  const u32 = randomWords((TUPLES * FRAME_STRIDE) / 4);
  const u8 = new Uint8Array(u32.buffer);
  const u16 = new Uint16Array(u32.buffer);
  const length = version === 4 ? 54 : 74;
  for (let i = 0; i < TUPLES; i++) {
    const type = i * FRAME_STRIDE + FRAME_OFFSET + 12;
    const etherType = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
    u8.set([etherType >>> 8, etherType & 0xff], type);
    if (version === 4) u8.set([0x45, 0, 0, length - 14, 0, 0, 0x40, 0, 64, PROTOCOL_TCP], type + 2);
    else u8.set([0x60, 0, 0, 0, 0, length - 54, PROTOCOL_TCP, 64], type + 2);
  }
  const rss = new Rss({ u8, u16, u32 }, {}, IndirectionTable.create(CORES));
  return { tuples: TUPLES, run: () => chooseCores(rss, length) };
}

/** Runs the work for about `ms`; returns nanoseconds a tuple. */
export function measureNs({ tuples, run }: Work, ms: number): number {
  const start = performance.now();
  let rounds = 0;
  let elapsed: number;
  do {
    run();
    rounds++;
    elapsed = performance.now() - start;
  } while (elapsed < ms);
  return (elapsed * 1e6) / (rounds * tuples);
}

/**
 * How far the busiest or the idlest of `cores` is from an even share of random TCP flows, in percent of all flows. The
 * 128 entries of the table can't be divided evenly among all numbers of cores: up to one entry, 0.8 %, is due to that.
 */
export function largestDeviation(cores: number, flows: number): number {
  const empty = new Uint32Array(new SharedArrayBuffer(4));
  const memory = { u8: new Uint8Array(empty.buffer), u16: new Uint16Array(empty.buffer), u32: empty };
  const rss = new Rss(memory, {}, IndirectionTable.create(cores));
  const received = new Array<number>(cores).fill(0);
  const random = randomWords(3);
  for (let i = 0; i < flows; i++) {
    for (let word = 0; word < random.length; word++) random[word] = Math.random() * 2 ** 32;
    const ports = random[2]!;
    const flow = {
      source: random[0]!,
      destination: random[1]!,
      sourcePort: ports >>> 16,
      destinationPort: ports & 0xffff,
    };
    received[rss.coreForFlow({ protocol: PROTOCOL_TCP, ...flow })]!++;
  }
  return Math.max(...received.map((count) => Math.abs(count / flows - 1 / cores))) * 100;
}
