/**
 * The stub resolver (RFC 1123, 6.1.3): asks the servers in turn, follows aliases, keeps answers for as long as they are
 * valid. Everything is called from the stack's poll or from a timer.
 */

import { checkOption } from '../../tcpip/check-option.js';
import type { Tcp, Udp } from '../../tcpip/index.js';
import { type RandomSource, systemRandom } from '../../tcpip/ip/random.js';
import { AnswerCache } from './cache.js';
import { createDnsCounters, DNS } from './counters.js';
import { Exchange, type ExchangeContext, type Failure } from './exchange.js';
import { MAX_ALIASES, type Outcome } from './message.js';
import { candidates, canonicalName } from './names.js';
import { type DnsServer, parseDnsServer } from './server.js';
import { systemTimers, type Timers } from './time.js';

export interface ResolverOptions {
  readonly udp: Pick<Udp, 'bind'>;
  readonly tcp: Pick<Tcp, 'connect'>;
  /** `10.0.0.53` or `10.0.0.53:5353`, the first one preferred. */
  readonly servers: readonly string[];
  /** How long an answer of a server may take, in ms. Default 2000. */
  readonly timeoutMs?: number;
  /** How often all servers are asked in turn. Default 2, as resolv.conf(5). */
  readonly tries?: number;
  /** Domains that are appended to names without a dot, and to others that do not exist. Default none. */
  readonly search?: readonly string[];
  /** Called after a query was sent, perhaps outside of the stack's poll: sends what waits in the core. */
  readonly flush?: () => void;
  readonly timers?: Timers;
  readonly random?: RandomSource;
}

/** What the resolver knows about a name in the end. */
export type Resolution =
  | { readonly kind: 'found'; readonly addresses: readonly string[]; readonly ttl: number }
  | { readonly kind: 'no-name' | 'no-data'; readonly ttl: number }
  /** No server has answered in time; none can be reached; all refuse; too many lookups wait; there is no server. */
  | { readonly kind: 'timeout' | 'unreachable' | 'refused' | 'overflow' | 'no-server'; readonly rcode?: number };

type Done = (resolution: Resolution) => void;

const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_TRIES = 2;
const MAX_TIMEOUT_MS = 60_000;
const MAX_TRIES = 10;
/** As many as resolv.conf(5) reads; further ones are not asked. */
const MAX_SERVERS = 3;
const MAX_SEARCH = 6;
const MAX_CACHED = 4096;
/** Queries under way, each with a socket. */
const MAX_UNDER_WAY = 256;
/** Lookups under way and waiting, equal ones counted singly. */
const MAX_LOOKUPS = 16_384;

/** A name that is asked for, and who waits for it. */
interface Question {
  /** As it was asked for. */
  readonly name: string;
  readonly waiting: Done[];
  /** The name whose addresses are asked for: the end of a chain of aliases. */
  target: string;
  aliases: number;
  /** The server that is asked first. */
  first: number;
  /** Attempts for this target until now. */
  attempts: number;
  /** Servers that do not answer this question, one bit each. */
  refusedBy: number;
  /** The least time to live of the aliases. */
  ttl: number;
  /** Why the last attempt has failed. */
  failure: Resolution;
  exchange: Exchange | null;
}

/**
 * Asks DNS servers for IPv4 addresses, over the stack of one core.
 *
 * @example
 * const resolver = new Resolver({ udp: net.udp, tcp: net.tcp, servers: ['10.0.0.53'], flush: () => core.flush() });
 * resolver.lookup('example.com', (resolution) => console.log(resolution));
 */
export class Resolver {
  private readonly counters = createDnsCounters();
  private readonly context: ExchangeContext;
  private readonly tries: number;
  private readonly cache = new AnswerCache<Resolution>(MAX_CACHED);
  private readonly questions = new Map<string, Question>();
  /** Those without an exchange, in the order in which they came. */
  private readonly queue = new Set<Question>();
  private underWay = 0;
  private waiting = 0;
  private search: readonly string[] = [];
  private servers: readonly DnsServer[] = [];
  /** The server that has answered last: it is asked first. */
  private preferred = 0;

  /** @throws ArgumentError when a server or a number is wrong */
  constructor(options: ResolverOptions) {
    const { udp, tcp, timeoutMs = DEFAULT_TIMEOUT_MS, tries = DEFAULT_TRIES } = options;
    checkOption('Resolver', 'timeoutMs', timeoutMs, 1, MAX_TIMEOUT_MS);
    checkOption('Resolver', 'tries', tries, 1, MAX_TRIES);
    const { timers = systemTimers, random = systemRandom, flush = () => {} } = options;
    this.context = { udp, tcp, timers, random, flush, timeoutMs, counts: this.counters.values };
    this.tries = tries;
    this.configure(options.servers, options.search);
  }

  /** Whether there is a server to ask. */
  get hasServers(): boolean {
    return this.servers.length > 0;
  }

  /**
   * Takes other servers and domains, as after a change of the DHCP lease. What was asked for goes on with the new
   * servers; old answers are forgotten.
   * @param search domains; those that cannot be names are left out
   * @throws ArgumentError when a server is wrong
   */
  configure(servers: readonly string[], search: readonly string[] = []): void {
    const parsed = servers.slice(0, MAX_SERVERS).map(parseDnsServer);
    this.search = search
      .map(canonicalName)
      .filter((domain) => domain !== null)
      .slice(0, MAX_SEARCH);
    this.servers = parsed;
    this.preferred = 0;
    this.cache.clear();
    for (const question of [...this.questions.values()]) this.restart(question);
  }

  /**
   * Finds the addresses of a name, and of the same name in the domains of `search` if it does not exist.
   * @param text as a program writes it
   * @param done is called once, perhaps before this returns
   */
  lookup(text: string, done: Done): void {
    const name = canonicalName(text);
    if (name === null) {
      done({ kind: 'no-name', ttl: 0 });
      return;
    }
    const names = candidates(text, name, this.search);
    const next = (i: number, first: Resolution | null): void =>
      this.resolve(names[i], (resolution) => {
        const isAbsent = resolution.kind === 'no-name' || resolution.kind === 'no-data';
        // A name without addresses tells more than one that does not exist.
        const best = first?.kind === 'no-data' && isAbsent ? first : resolution;
        if (isAbsent && i + 1 < names.length) next(i + 1, best);
        else done(best);
      });
    next(0, null);
  }

  /**
   * Finds the addresses of exactly this name.
   * @param name canonical
   * @param done is called once, perhaps before this returns
   */
  resolve(name: string, done: Done): void {
    const { values } = this.counters;
    values[DNS.dns_lookups]++;
    const cached = this.cache.get(name, this.context.timers.now());
    if (cached !== undefined) {
      values[DNS.dns_cached]++;
      done(cached);
    } else if (this.servers.length === 0) {
      done({ kind: 'no-server' });
    } else if (this.waiting >= MAX_LOOKUPS) {
      values[DNS.dns_overflows]++;
      done({ kind: 'overflow' });
    } else {
      this.waiting++;
      this.enter(name, done);
    }
  }

  /** Ends all lookups as if no server had answered. */
  close(): void {
    for (const question of [...this.questions.values()]) {
      this.stop(question);
      this.finish(question, { kind: 'timeout' });
    }
  }

  /** The counters, by name, and the lookups that wait for an answer. */
  report(): Record<string, number> {
    return { ...this.counters.snapshot(), dns_waiting: this.waiting, dns_kept: this.cache.size };
  }

  private enter(name: string, done: Done): void {
    const equal = this.questions.get(name);
    if (equal !== undefined) {
      this.counters.values[DNS.dns_shared]++;
      equal.waiting.push(done);
      return;
    }
    const question: Question = {
      ...{ name, waiting: [done], target: name, aliases: 0, first: 0, attempts: 0, refusedBy: 0 },
      ...{ ttl: Number.POSITIVE_INFINITY, failure: { kind: 'timeout' }, exchange: null },
    };
    this.questions.set(name, question);
    this.queue.add(question);
    this.startQueued();
  }

  private startQueued(): void {
    for (const question of this.queue) {
      if (this.underWay >= MAX_UNDER_WAY) return;
      this.queue.delete(question);
      this.ask(question);
    }
  }

  /** Asks the next server. */
  private ask(question: Question): void {
    const count = this.servers.length;
    while (question.attempts < count * this.tries) {
      if (question.attempts === 0) question.first = this.preferred;
      const index = (question.first + question.attempts++) % count;
      if ((question.refusedBy & (1 << index)) !== 0) continue;
      question.exchange = new Exchange(this.context, this.servers[index], question.target, (outcome) => {
        this.underWay--;
        question.exchange = null;
        this.take(question, index, outcome);
        this.startQueued();
      });
      this.underWay++;
      question.exchange.start();
      return;
    }
    this.finish(question, count === 0 ? { kind: 'no-server' } : question.failure);
  }

  private take(question: Question, server: number, outcome: Outcome | Failure): void {
    switch (outcome.kind) {
      case 'timeout':
      case 'unreachable':
        question.failure = outcome;
        this.ask(question);
        return;
      case 'refused':
        question.failure = outcome;
        question.refusedBy |= 1 << server;
        this.ask(question);
        return;
      case 'alias':
        this.preferred = server;
        this.follow(question, outcome.name, outcome.ttl);
        return;
      case 'found':
      case 'no-name':
      case 'no-data':
        this.preferred = server;
        this.finish(question, { ...outcome, ttl: Math.min(question.ttl, outcome.ttl) });
    }
  }

  private follow(question: Question, target: string, ttl: number): void {
    question.target = target;
    question.ttl = Math.min(question.ttl, ttl);
    question.attempts = 0;
    question.refusedBy = 0;
    if (++question.aliases <= MAX_ALIASES) this.ask(question);
    else this.finish(question, { kind: 'refused' });
  }

  private restart(question: Question): void {
    this.stop(question);
    question.attempts = 0;
    question.refusedBy = 0;
    this.queue.add(question);
    this.startQueued();
  }

  private stop(question: Question): void {
    this.queue.delete(question);
    if (question.exchange === null) return;
    question.exchange.cancel();
    question.exchange = null;
    this.underWay--;
  }

  private finish(question: Question, resolution: Resolution): void {
    this.questions.delete(question.name);
    this.waiting -= question.waiting.length;
    const { ttl } = resolution as { ttl?: number };
    if (ttl !== undefined && ttl > 0) {
      this.cache.set(question.name, resolution, this.context.timers.now() + ttl * 1000);
    }
    for (const done of question.waiting) done(resolution);
  }
}
