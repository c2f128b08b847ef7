/**
 * DNS messages (RFC 1035, 4): the query that is sent, and what an answer says about the question. The format is the
 * library's; whether an answer is one, and what to believe of it, is decided here.
 */
import { type Answer as DnsRecord, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { canonicalName } from './names.js';

/** What an answer says about a name. */
export type Outcome =
  /** Its addresses. */
  | { readonly kind: 'found'; readonly addresses: readonly string[]; readonly ttl: number }
  /** There is no such name (RFC 8020), or it has no IPv4 address (RFC 2308, 2.2). `ttl` is 0 for an answer without SOA. */
  | { readonly kind: 'no-name' | 'no-data'; readonly ttl: number }
  /** The name is an alias, and the server does not tell whose addresses these are. */
  | { readonly kind: 'alias'; readonly name: string; readonly ttl: number }
  /** The answer did not fit into a datagram. */
  | { readonly kind: 'truncated' }
  /** The server does not answer the question: `rcode` says why. */
  | { readonly kind: 'refused'; readonly rcode: number };

/** The largest datagram that no path of today fragments (RFC 9715, 3.1, and DNS Flag Day 2020). */
export const EDNS_BYTES = 1232;
/** A longer chain of aliases is a loop. */
export const MAX_ALIASES = 8;
/** RFC 1035, 4.1.1 and RFC 6891, 9: FORMERR is also the answer of a server that does not know EDNS. */
export const RCODE_FORMAT_ERROR = 1;
const RCODE_NO_NAME = 3;

const HEADER_BYTES = 12;
const RESPONSE = 0x80;
const OPCODE = 0x78;
const TRUNCATED = 0x02;
const RCODE = 0x0f;
/** A root name, type and class; the same with a time to live and a length. */
const QUESTION_BYTES = 5;
const RECORD_BYTES = 11;
const MAX_ADDRESSES = 256;
const MAX_TTL = 3600;
const MAX_NEGATIVE_TTL = 60;
/** RFC 2181, 8: a larger time to live is 0. */
const LARGEST_TTL = 0x7fff_ffff;

/**
 * Makes a query for the IPv4 addresses of a name.
 * @param id 0 to 65535
 * @param name canonical
 * @param withEdns whether longer datagrams than 512 bytes are accepted (RFC 6891)
 */
export function encodeQuery(id: number, name: string, withEdns: boolean): Buffer {
  const opt: DnsRecord = {
    ...{ type: 'OPT', name: '.', udpPayloadSize: EDNS_BYTES, extendedRcode: 0, ednsVersion: 0 },
    ...{ flags: 0, flag_do: false, options: [] },
  };
  return encode({
    ...{ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ type: 'A', name }] },
    additionals: withEdns ? [opt] : [],
  });
}

/**
 * Reads a message that came from the server that was asked.
 * @param bytes of the message alone
 * @param id of the query
 * @param name of the question, canonical
 * @returns null when this is no answer to the question, or cannot be read
 */
export function readAnswer(bytes: Buffer, id: number, name: string): Outcome | null {
  if (!isPlausible(bytes, id)) return null;
  const rcode = bytes[3] & RCODE;
  // A server that cannot read the question need not repeat it.
  if (rcode === RCODE_FORMAT_ERROR && bytes.readUInt16BE(4) === 0) return { kind: 'refused', rcode };
  try {
    return isTruncated(bytes) ? truncated(bytes, name) : interpret(decodeWhole(bytes), rcode, name);
  } catch {
    return null;
  }
}

/** Whether the header is that of the answer, and as many records as it says can be in so few bytes. */
function isPlausible(bytes: Buffer, id: number): boolean {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== id) return false;
  if ((bytes[2] & RESPONSE) === 0 || (bytes[2] & OPCODE) !== 0) return false;
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  return HEADER_BYTES + bytes.readUInt16BE(4) * QUESTION_BYTES + records * RECORD_BYTES <= bytes.length;
}

const isTruncated = (bytes: Buffer): boolean => (bytes[2] & TRUNCATED) !== 0;

/** Only the question of a truncated message can be relied upon. */
function truncated(bytes: Buffer, name: string): Outcome | null {
  const head = Buffer.from(bytes);
  head.fill(0, 6, HEADER_BYTES);
  return isQuestion(decode(head), name) ? { kind: 'truncated' } : null;
}

type Message = ReturnType<typeof decode>;

/** The library reads on behind the end of a message that is cut off. */
function decodeWhole(bytes: Buffer): Message {
  const message = decode(bytes);
  if (decode.bytes > bytes.length) throw new RangeError('the message is cut off');
  return message;
}

function isQuestion({ questions = [] }: Message, name: string): boolean {
  const [question] = questions;
  if (questions.length !== 1 || question.type !== 'A' || question.class !== 'IN') return false;
  return canonicalName(question.name) === name;
}

function interpret(message: Message, lowRcode: number, name: string): Outcome | null {
  if (!isQuestion(message, name)) return null;
  const { answers = [], authorities = [], additionals = [] } = message;
  const rcode = lowRcode | (extendedRcode(additionals) << 4);
  if (rcode !== 0 && rcode !== RCODE_NO_NAME) return { kind: 'refused', rcode };
  const records = answers.filter(isInternet);
  let owner = name;
  let ttl = MAX_TTL;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const own = records.filter((record) => canonicalName(record.name) === owner);
    const addresses = own.filter(({ type }) => type === 'A').slice(0, MAX_ADDRESSES);
    if (addresses.length > 0) {
      const texts = new Set(addresses.map(({ data }) => String(data)));
      return { kind: 'found', addresses: [...texts], ttl: Math.min(ttl, ...addresses.map(ttlOf)) };
    }
    const alias = own.find(({ type }) => type === 'CNAME');
    if (alias === undefined) return withoutAddress(authorities, rcode, owner === name ? null : owner, ttl);
    const target = canonicalName(String(alias.data));
    if (target === null) return null;
    owner = target;
    ttl = Math.min(ttl, ttlOf(alias));
  }
  return null;
}

/** @param alias the end of a chain of aliases; null when the name is none */
function withoutAddress(authorities: readonly DnsRecord[], rcode: number, alias: string | null, ttl: number): Outcome {
  const soa = authorities.filter(isInternet).find(({ type }) => type === 'SOA');
  // RFC 2308, 3 and 5: for how long, says the SOA record; without one the answer is not kept.
  const negative = soa?.type === 'SOA' ? Math.min(ttlOf(soa), soa.data.minimum ?? 0, MAX_NEGATIVE_TTL) : 0;
  const negativeTtl = Math.min(ttl, negative);
  if (rcode === RCODE_NO_NAME) return { kind: 'no-name', ttl: negativeTtl };
  // A server that has followed the alias to its end shows by the SOA record that there is no address.
  if (alias !== null && soa === undefined) return { kind: 'alias', name: alias, ttl };
  return { kind: 'no-data', ttl: negativeTtl };
}

type InternetRecord = Exclude<DnsRecord, { type: 'OPT' }>;

const isInternet = (record: DnsRecord): record is InternetRecord =>
  record.type !== 'OPT' && (record as InternetRecord).class === 'IN';

function ttlOf({ ttl = 0 }: InternetRecord): number {
  return ttl > LARGEST_TTL ? 0 : Math.min(ttl, MAX_TTL);
}

function extendedRcode(additionals: readonly DnsRecord[]): number {
  const opt = additionals.find(({ type }) => type === 'OPT');
  return opt?.type === 'OPT' ? opt.extendedRcode : 0;
}
