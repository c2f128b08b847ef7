/** The counters of the resolver, and what each one means. */
import { CounterBlock, counterIndexes } from '../../../rings/counters.js';

const MEANING = {
  dns_lookups: 'names that were asked for',
  dns_cached: 'lookups answered by an earlier answer',
  dns_shared: 'lookups that waited for the answer to an equal one',
  dns_overflows: 'lookups that failed because too many others waited',
  dns_queries: 'queries sent to servers, by UDP or TCP',
  dns_tcp: 'queries sent by TCP',
  dns_timeouts: 'queries without an answer in time',
  dns_unreachable: 'queries that could not be sent, or whose server or connection refused them',
  dns_refused: 'answers of servers that do not answer the question',
  dns_drop_wrong: 'messages from a server that are no answer to the question, or cannot be read',
} as const;

type DnsCounterName = keyof typeof MEANING;

const DNS_COUNTERS = Object.keys(MEANING) as readonly DnsCounterName[];

/** Name -> place in the values. */
export const DNS = Object.freeze(counterIndexes(DNS_COUNTERS));

export type DnsCounters = CounterBlock<DnsCounterName>;

export function createDnsCounters(): DnsCounters {
  return CounterBlock.create(DNS_COUNTERS);
}
