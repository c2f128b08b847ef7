/** What the kernel counts at an interface of a network namespace. */
import type { NetworkNamespace } from '../../../scripts/netns.js';

interface Counts {
  readonly bytes: number;
  readonly packets: number;
}

/** What `ip -s -j link show` prints, as far as it is read here. */
type LinkReport = readonly { readonly stats64: { readonly rx: Counts; readonly tx: Counts } }[];

/** Mean bytes of the frames that the kernel has got from an interface, and has given to it. */
export function meanFrames(namespace: NetworkNamespace, name: string): { readonly rx: number; readonly tx: number } {
  const [link] = JSON.parse(namespace.ip('-s', '-j', 'link', 'show', name)) as LinkReport;
  const { rx, tx } = link!.stats64;
  return { rx: rx.bytes / rx.packets, tx: tx.bytes / tx.packets };
}
