/** What the kernel counts at an interface of a network namespace. */
import type { NetworkNamespace } from '../../../scripts/netns.js';

interface Counts {
  readonly bytes: number;
  readonly packets: number;
}

/** What `ip -s -j link show` prints, as far as it is read here. */
type LinkReport = readonly { readonly stats64: { readonly rx: Counts; readonly tx: Counts } }[];

function countsOf(namespace: NetworkNamespace, name: string): LinkReport[0]['stats64'] {
  const [link] = JSON.parse(namespace.ip('-s', '-j', 'link', 'show', name)) as LinkReport;
  return link!.stats64;
}

/**
 * Begins to count the frames of an interface. Returns a function: the mean bytes of the frames since then that the kernel has
 * got from the interface (rx), and has given to it (tx).
 */
export function meanFramesFromNow(
  namespace: NetworkNamespace,
  name: string,
): () => { readonly rx: number; readonly tx: number } {
  const before = countsOf(namespace, name);
  return () => {
    const now = countsOf(namespace, name);
    const mean = (way: 'rx' | 'tx'): number =>
      (now[way].bytes - before[way].bytes) / (now[way].packets - before[way].packets);
    return { rx: mean('rx'), tx: mean('tx') };
  };
}
