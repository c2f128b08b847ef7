/** The counts of a queue of the driver by name, for tests. */
import { QueueCount } from '../../../drivers/virtio/driver/queue-counts.js';

export type NamedCounts = Readonly<Record<keyof typeof QueueCount, number>>;

export function countsOf(queue: { readonly counts: Float64Array }): NamedCounts {
  return Object.fromEntries(
    Object.entries(QueueCount).map(([name, index]) => [name, queue.counts[index] ?? 0]),
  ) as NamedCounts;
}
