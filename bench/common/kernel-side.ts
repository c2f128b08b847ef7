/** What the benchmarks have in common whose peer is a Node program on the kernel's network, in a network namespace. */
import { isInstalled, isReadWrite } from '../../scripts/programs.js';
import { type Figure, figure } from '../report/report.js';

/** What this machine lacks for a network namespace with a tap, each as the end of "needs …". */
export function missingForTap(): string[] {
  const missing: string[] = [];
  if (!isInstalled('ip')) missing.push("ip (run 'npm run setup:peers' as root)");
  if (process.getuid?.() !== 0) missing.push('root, to make a network namespace');
  if (!isReadWrite('/dev/net/tun')) missing.push("/dev/net/tun ('modprobe tun' makes it)");
  return missing;
}

/** The figure of one field of all windows. */
export function figureOf<Field extends string>(
  windows: readonly Readonly<Record<Field, number>>[],
  field: Field,
  unit: string,
): Figure {
  return figure(
    windows.map((window) => window[field]),
    unit,
  );
}

/** A figure of ours and of a peer, and the ratio of their medians. */
export function compared(peer: string, ours: Figure, theirs: Figure): Record<string, Figure | number> {
  return { tspmd: ours, [peer]: theirs, ratio: Number((ours.median / theirs.median).toFixed(3)) };
}
