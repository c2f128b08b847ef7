/**
 * The work of `bench -- rss` on random tuples. They are few enough for the cache, and too many for the branch predictor
 * to learn.
 */

import { BURST } from '../../src/link/bursts/tx-burst.js';
import { IndirectionTable } from '../../src/rss/indirection-table.js';
import { parseRssKey } from '../../src/rss/keys.js';
import { Rss } from '../../src/rss/rss.js';
import { createToeplitz, type Toeplitz } from '../../src/rss/toeplitz.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../../src/wire/ethernet.js';
import { IP_PROTOCOL_TCP } from '../../src/wire/ipv4.js';

const TUPLES = 4096;
const IPV4_WORDS = 3;
const IPV6_WORDS = 9;
/** Distance of two frames. As in packet buffers, the IP header is at a multiple of 4. */
const FRAME_STRIDE = 128;
const FRAME_OFFSET = 62;
const CORES = 4;

/** What the receiving loop hashes: frames with layer `ethernet`, IP packets with layer `ip`. */
export type Hashed = 'frame' | 'packet';

export interface WorkName {
  readonly kind: 'toeplitz' | Hashed;
  readonly version: 4 | 6;
}

/** The input of the hash. It can be sent to another thread. */
export interface Tuples {
  readonly key: Uint8Array;
  /** All tuples, in network order. */
  readonly bytes: Uint8Array;
  readonly wordsPerTuple: number;
}

export interface Work extends Partial<Tuples> {
  readonly tuples: number;
  /** Hashes all tuples once. The result depends on all hashes, so that V8 cannot omit one. */
  run(): number;
}

function randomWords(count: number): Uint32Array {
  const words = new Uint32Array(new SharedArrayBuffer(count * 4));
  for (let i = 0; i < count; i++) words[i] = Math.random() * 2 ** 32;
  return words;
}

const hashIpv4 =
  ({ ipv4Ports }: Toeplitz, words: Uint32Array) =>
  (): number => {
    let all = 0;
    for (let at = 0; at < TUPLES * IPV4_WORDS; at += IPV4_WORDS) {
      all ^= ipv4Ports(words[at], words[at + 1], words[at + 2]);
    }
    return all;
  };

const hashIpv6 =
  ({ ipv6, tuple }: Toeplitz, words: Uint32Array) =>
  (): number => {
    let all = 0;
    for (let at = 0; at < TUPLES * IPV6_WORDS; at += IPV6_WORDS) {
      // Written out, because V8 does not unroll loops.
      tuple[0] = words[at];
      tuple[1] = words[at + 1];
      tuple[2] = words[at + 2];
      tuple[3] = words[at + 3];
      tuple[4] = words[at + 4];
      tuple[5] = words[at + 5];
      tuple[6] = words[at + 6];
      tuple[7] = words[at + 7];
      tuple[8] = words[at + 8];
      all ^= ipv6();
    }
    return all;
  };

/** The hash of packed tuples alone, as rte_softrss computes it. `run` returns the XOR of all hashes. */
export function toeplitzWork(version: 4 | 6): Work & Tuples {
  const key = parseRssKey('microsoft');
  const toeplitz = createToeplitz(key);
  const wordsPerTuple = version === 4 ? IPV4_WORDS : IPV6_WORDS;
  const words = randomWords(TUPLES * wordsPerTuple);
  const hash = version === 4 ? hashIpv4 : hashIpv6;
  return { tuples: TUPLES, run: hash(toeplitz, words), key, bytes: new Uint8Array(words.buffer), wordsPerTuple };
}

function chooseCores(rss: Rss, hashed: Hashed, length: number): () => number {
  const at = hashed === 'frame' ? FRAME_OFFSET : FRAME_OFFSET + ETH_HEADER_BYTES;
  const lengths = new Uint32Array(BURST).fill(hashed === 'frame' ? length : length - ETH_HEADER_BYTES);
  const places = new Uint32Array(BURST);
  const hashes = new Int32Array(BURST);
  return () => {
    let all = 0;
    for (let first = 0; first < TUPLES; first += BURST) {
      for (let i = 0; i < BURST; i++) places[i] = (first + i) * FRAME_STRIDE + at;
      if (hashed === 'frame') rss.hashFrames(places, lengths, hashes, BURST);
      else rss.hashPackets(places, lengths, hashes, BURST);
      for (let i = 0; i < BURST; i++) all += rss.coreOf(hashes[i]);
    }
    return all;
  };
}

/**
 * From a frame or a packet to its core, as in the receiving loop: reads the headers, orders the tuple, hashes, reads
 * the table.
 */
export function coreWork(hashed: Hashed, version: 4 | 6): Work {
  const u32 = randomWords((TUPLES * FRAME_STRIDE) / 4);
  const u8 = new Uint8Array(u32.buffer);
  const u16 = new Uint16Array(u32.buffer);
  const length = version === 4 ? 54 : 74;
  for (let i = 0; i < TUPLES; i++) {
    const type = i * FRAME_STRIDE + FRAME_OFFSET + 12;
    const ethType = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
    u8.set([ethType >>> 8, ethType & 0xff], type);
    if (version === 4) u8.set([0x45, 0, 0, length - 14, 0, 0, 0x40, 0, 64, IP_PROTOCOL_TCP], type + 2);
    else u8.set([0x60, 0, 0, 0, 0, length - 54, IP_PROTOCOL_TCP, 64], type + 2);
  }
  const rss = new Rss({ u8, u16, u32 }, {}, IndirectionTable.create(CORES));
  return { tuples: TUPLES, run: chooseCores(rss, hashed, length) };
}

/** Runs the work for about `ms`. Returns nanoseconds per tuple. */
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
 * Returns how far the core with the most or the fewest random TCP flows is from an even share, in percent of all flows.
 * Up to 0.8 %, one entry, is because 128 entries cannot be divided evenly among every number of cores.
 */
export function largestDeviation(cores: number, flows: number): number {
  const empty = new Uint32Array(new SharedArrayBuffer(4));
  const memory = { u8: new Uint8Array(empty.buffer), u16: new Uint16Array(empty.buffer), u32: empty };
  const rss = new Rss(memory, {}, IndirectionTable.create(cores));
  const received = new Array<number>(cores).fill(0);
  const random = randomWords(3);
  for (let i = 0; i < flows; i++) {
    for (let word = 0; word < random.length; word++) random[word] = Math.random() * 2 ** 32;
    const ports = random[2];
    const flow = {
      source: random[0],
      destination: random[1],
      sourcePort: ports >>> 16,
      destinationPort: ports & 0xffff,
    };
    received[rss.coreForFlow({ protocol: IP_PROTOCOL_TCP, ...flow })]++;
  }
  return Math.max(...received.map((count) => Math.abs(count / flows - 1 / cores))) * 100;
}
