/** What the counters of the stack mean: those of TCP, IP, ICMP and UDP together. */
import { IP_MEANING } from '../../tcpip/ip/counters.js';
import { TCP_MEANING } from '../../tcpip/tcp/counters.js';
import { UDP_MEANING } from '../../tcpip/udp/counters.js';

const MEANING: Readonly<Record<string, string>> = { ...TCP_MEANING, ...IP_MEANING, ...UDP_MEANING };

/** What a counter of the stack counts, in a few words; undefined for other names, such as those of an app. */
export function stackMeaningOf(name: string): string | undefined {
  return Object.hasOwn(MEANING, name) ? MEANING[name] : undefined;
}
