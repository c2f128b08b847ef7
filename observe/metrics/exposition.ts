/** Metrics as text: OpenMetrics 1.0, or the older text format of Prometheus. */
import { Registry } from 'prom-client';
import type { Family } from './family.js';

const FORMATS = { openMetrics: Registry.OPENMETRICS_CONTENT_TYPE, text: Registry.PROMETHEUS_CONTENT_TYPE } as const;

/** Returns the content type for a client with this header `Accept`. */
export function contentTypeFor(accept: string | undefined): string {
  return accept?.includes('application/openmetrics-text') ? FORMATS.openMetrics : FORMATS.text;
}

/** @param contentType from {@link contentTypeFor} */
export function expose(families: readonly Family[], contentType: string): Promise<string> {
  const isOpenMetrics = contentType === FORMATS.openMetrics;
  const registry = new Registry();
  registry.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
  for (const family of families) registry.registerMetric(metricOf(family, isOpenMetrics) as never);
  return registry.metrics();
}

/** One metric as the registry reads it. The values are complete, so the library's own counters are not used. */
function metricOf(family: Family, isOpenMetrics: boolean): object {
  const { help, type } = family;
  // OpenMetrics names the family without the suffix, which the registry then adds to the samples.
  const name = type === 'counter' && !isOpenMetrics ? `${family.name}_total` : family.name;
  const values = family.type === 'histogram' ? family.samples.flatMap((one) => histogram(name, one)) : family.samples;
  const metric = { name, help, type, values };
  return { ...metric, get: async () => ({ ...metric, name }) };
}

function histogram(
  name: string,
  { labels, buckets, sum }: (Family & { type: 'histogram' })['samples'][number],
): object[] {
  const count = buckets.at(-1)?.count ?? 0;
  return [
    ...buckets.map(({ upTo, count: value }) => ({
      labels: { ...labels, le: upTo === Number.POSITIVE_INFINITY ? '+Inf' : upTo },
      value,
      metricName: `${name}_bucket`,
    })),
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ];
}
