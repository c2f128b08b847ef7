/** What the load generator prints: text for people, JSON for programs. */
import type { LoadResult } from './load.js';
import type { Target } from './target.js';

const count = (value: number): string => value.toLocaleString('en-US');
const rate = (value: number, seconds: number): number => (seconds > 0 ? value / seconds : 0);
const rounded = (value: number): number => Math.round(value * 10) / 10;

/** The JSON of `tspmd get URL --connections N --requests N --json`. */
export function loadJson(target: Target, result: LoadResult): object {
  const { requests, done, failed, connections, seconds, bytes, latencyUs, statuses, errors } = result;
  return {
    ...{ url: target.url, requests, done, failed, connections, seconds, bytes },
    requestsPerSecond: rounded(rate(done, seconds)),
    bytesPerSecond: rounded(rate(bytes, seconds)),
    ...{ latencyUs, statuses, errors },
  };
}

export function loadText(result: LoadResult): string {
  const { requests, done, failed, connections, seconds, bytes, latencyUs, statuses, errors } = result;
  const { p50, p90, p99, p999, max } = latencyUs;
  const byStatus = Object.entries(statuses).map(([status, number]) => `${status}: ${count(number)}`);
  const lines = [
    `requests  ${count(done)} of ${count(requests)} answered in ${seconds.toFixed(2)} s, ${count(failed)} failed; ${count(connections)} connections opened`,
    `rate      ${count(Math.round(rate(done, seconds)))} requests per second, ${rounded(rate(bytes, seconds) / 1e6)} MB/s of content (${count(bytes)} bytes)`,
    `latency   p50 ${p50} µs, p90 ${p90} µs, p99 ${p99} µs, p99.9 ${p999} µs, max ${max} µs`,
    `status    ${byStatus.join(', ') || 'none'}`,
    ...Object.entries(errors).map(
      ([kind, error]) => `failed    ${kind}: ${count(error.count)}, such as: ${error.example}`,
    ),
  ];
  return lines.join('\n');
}
