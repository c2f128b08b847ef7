/**
 * Compiles a filter expression once to a function of a frame. The language is a part of that of pcap-filter(7), with its
 * meaning: `not` binds first, `and` and `or` bind alike, from the left; a value alone repeats the qualifier before it
 * (`port 80 or 443`); `vlan` makes everything behind it look behind the tag.
 */
import { macOctets } from '../../../drivers/mac-address.js';
import { VLAN_BYTES } from '../../../drivers/virtio/header-fields.js';
import { accessorOf, comparison, numberOf, RELATIONS } from './accessor.js';
import { both, either, not } from './combine.js';
import type { Match } from './frame.js';
import { FilterError, type Word, wordsOf } from './lexer.js';
import { address, type Direction, PROTOCOLS, port, protocol, station, vlan } from './primitives.js';

const KNOWN =
  'host, net, port, portrange (with src or dst), ether host, tcp, udp, icmp, sctp, ip, ip6, arp, vlan, and, or, not, ( ), ' +
  'and bytes such as udp[12:4] & 0xffffff00 = 0x3e700';
const MAX_DEPTH = 64;
/** A value that stands alone: it repeats the qualifier before it. No keyword begins with a digit. */
const VALUE = /^\d/;
const KINDS = ['host', 'net', 'port', 'portrange'] as const;
type Kind = (typeof KINDS)[number];

/** Bytes of a frame that all but comparisons of bytes look at, at most: Ethernet, IPv4 with options, ports. */
const USUAL_REACH = 14 + 60 + 4;

/** An expression as a function, and how much of a frame it looks at. */
export interface CompiledFilter {
  readonly match: Match;
  /** The first bytes of a frame are enough: with so many, the result is that of the whole frame. */
  readonly reach: number;
}

/** The words before a value. */
interface Qualifier {
  readonly kind: Kind;
  readonly direction: Direction;
  /** `tcp`, `ip`, `arp`, `ether`, …; null: none. */
  readonly within: string | null;
}

class Parser {
  private next = 0;
  private depth = 0;
  /** Bytes of the VLAN tags that the words before have asked for. */
  private skip = 0;
  private last: Qualifier | null = null;
  /** The last byte that a comparison of bytes looks at, from where its protocol begins. */
  private farthest = 0;

  constructor(private readonly words: readonly Word[]) {}

  parse(): CompiledFilter {
    const match = this.expression();
    const word = this.words[this.next];
    if (word !== undefined) throw fault(word, "'and' or 'or' is missing before it");
    return { match, reach: USUAL_REACH + this.skip + this.farthest };
  }

  private expression(): Match {
    let left = this.term();
    for (;;) {
      if (this.takes('and', '&&')) left = both(left, this.term());
      else if (this.takes('or', '||')) left = either(left, this.term());
      else return left;
    }
  }

  private term(): Match {
    if (++this.depth > MAX_DEPTH) throw new FilterError(`filter: nested more than ${MAX_DEPTH} times`);
    try {
      if (this.takes('not', '!')) return not(this.term());
      if (!this.takes('(')) return this.primitive();
      const match = this.expression();
      if (!this.takes(')')) throw new FilterError("filter: ')' is missing");
      return match;
    } finally {
      this.depth--;
    }
  }

  private primitive(): Match {
    const word = this.take('a primitive');
    if (word.text === 'vlan') return this.vlan();
    const isProtocol = word.text === 'ether' || protocol(word.text, 0) !== undefined;
    if (isProtocol && this.words[this.next]?.text.startsWith('[')) return this.bytes(word);
    if (!isProtocol) this.next--;
    if (this.last !== null && VALUE.test(word.text)) return this.value(this.last);
    const direction = this.direction();
    // `src 10.0.0.1` is `src host 10.0.0.1`.
    const kind = this.kind() ?? (direction === null ? null : 'host');
    if (kind === null && !isProtocol) throw fault(word, `known are ${KNOWN}`);
    if (kind === null) return this.protocol(word);
    this.last = { kind, direction: direction ?? 'either', within: isProtocol ? word.text : null };
    return this.value(this.last);
  }

  private protocol({ text }: Word): Match {
    const match = protocol(text, this.skip);
    if (match === undefined) throw new FilterError("filter: 'ether' is followed by host");
    return match;
  }

  /** `[12:4] & 0xff00 = 0x0800` behind a protocol. */
  private bytes(protocol: Word): Match {
    const brackets = this.take('[');
    const accessor = accessorOf(protocol.text, brackets.text);
    if (accessor === null) throw fault(brackets, 'an offset and a size of 1, 2 or 4 were expected, such as [12:4]');
    this.farthest = Math.max(this.farthest, accessor.offset + accessor.size);
    const mask = this.takes('&') ? this.number('a mask') : 0xffff_ffff;
    const relation = this.take('a comparison');
    if (!Object.hasOwn(RELATIONS, relation.text)) throw fault(relation, 'one of = != < <= > >= was expected');
    return comparison(accessor, mask, RELATIONS[relation.text], this.number('a number'), this.skip);
  }

  private number(what: string): number {
    const word = this.take(what);
    const number = numberOf(word.text);
    if (number < 0) throw fault(word, `${what} of 32 bits was expected, such as 10 or 0x0a`);
    return number;
  }

  /** `src`, `dst`, `src or dst`, `src and dst`; null: nothing of this. */
  private direction(): Direction | null {
    const first = this.takes('src') ? 'src' : this.takes('dst') ? 'dst' : null;
    if (first === null) return null;
    const [joint, second] = [this.words[this.next]?.text, this.words[this.next + 1]?.text];
    if (second !== (first === 'src' ? 'dst' : 'src') || (joint !== 'or' && joint !== 'and')) return first;
    this.next += 2;
    return joint === 'or' ? 'either' : 'both';
  }

  private kind(): Kind | null {
    const kind = KINDS.find((name) => name === this.words[this.next]?.text) ?? null;
    if (kind !== null) this.next++;
    return kind;
  }

  private value({ kind, direction, within }: Qualifier): Match {
    const word = this.take(`a value for ${kind}`);
    const { text } = word;
    if (within === 'ether') {
      const mac = kind === 'host' ? macOctets(text, /^[\da-f]{2}(?:[:-][\da-f]{2}){5}$/i) : null;
      if (mac === null) throw fault(word, 'a MAC address such as 52:54:00:00:00:01 was expected behind ether host');
      return station(direction, mac);
    }
    if (kind === 'host' || kind === 'net') {
      const [wanted, mask] = this.network(word, kind);
      if (within !== null && within !== 'ip' && within !== 'arp') throw fault(word, `${kind} goes with ip or arp`);
      return address(direction, wanted, mask, this.skip, within);
    }
    const [, from = '', to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
    const isRange = text.includes('-');
    if (from === '' || isRange !== (kind === 'portrange') || Number(to) > 65_535 || Number(from) > Number(to)) {
      throw fault(word, kind === 'port' ? 'a port from 0 to 65535 was expected' : 'a range such as 80-90 was expected');
    }
    const number = within === null || within === 'ip' ? -1 : PROTOCOLS[within];
    if (number === undefined || number === 1) throw fault(word, 'port goes with tcp, udp or sctp');
    return port(direction, Number(from), Number(to), this.skip, number);
  }

  private network(word: Word, kind: 'host' | 'net'): [number, number] {
    const [, digits, bits] = /^(\d{1,3}(?:\.\d{1,3}){0,3})(?:\/(\d{1,2}))?$/.exec(word.text) ?? [];
    const parts = digits?.split('.').map(Number) ?? [];
    const isWhole = parts.length === 4;
    const isRight =
      parts.length > 0 && parts.every((part) => part < 256) && (kind === 'net' || (isWhole && bits === undefined));
    if (!isRight || Number(bits ?? 0) > 32) {
      const example = kind === 'host' ? 'an IPv4 address such as 10.0.0.1' : 'a network such as 10.0.0.0/24';
      throw fault(word, `${example} was expected`);
    }
    // `net 10.1` is 10.1.0.0/16.
    const length = bits === undefined ? 8 * parts.length : Number(bits);
    const [a, b = 0, c = 0, d = 0] = parts;
    const mask = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
    return [((a << 24) | (b << 16) | (c << 8) | d) >>> 0, mask];
  }

  private vlan(): Match {
    const word = this.words[this.next];
    const hasId = word !== undefined && /^\d+$/.test(word.text);
    if (hasId) this.next++;
    if (hasId && Number(word.text) > 4095) throw fault(word, 'a VLAN from 0 to 4095 was expected');
    const match = vlan(hasId ? Number(word.text) : -1, this.skip);
    this.skip += VLAN_BYTES;
    return match;
  }

  private takes(...texts: string[]): boolean {
    const isNext = texts.includes(this.words[this.next]?.text ?? '');
    if (isNext) this.next++;
    return isNext;
  }

  private take(expected: string): Word {
    const word = this.words[this.next++];
    if (word === undefined) throw new FilterError(`filter: ends where ${expected} was expected; known are ${KNOWN}`);
    return word;
  }
}

const fault = ({ text, place }: Word, problem: string): FilterError =>
  new FilterError(`filter: '${text}' at ${place}: ${problem}`);

/**
 * Compiles an expression; an empty one matches every frame.
 * @throws FilterError with one line that names the word and its place
 */
export function compileFilter(expression: string): CompiledFilter {
  const words = wordsOf(expression);
  return words.length === 0 ? { match: () => true, reach: 0 } : new Parser(words).parse();
}
