/** What a running port tells those who ask (`tspmd stats`): structured-cloneable, and JSON without loss. */
import { formatMac, type Port, type StackTotals, type TcpFigures } from '../../index.js';
import { addressText } from '../output/lease-lines.js';
import { type PortSample, sampleOf } from '../output/rates.js';

export interface PortSnapshot extends PortSample {
  /** The device, as people name it. */
  readonly device: string;
  readonly mac: string;
  /** `10.0.0.1/24`; `0.0.0.0/0` while there is none. */
  readonly address: string;
  readonly gateway: string | null;
  /** How many entries of the indirection table lead to each core. */
  readonly rssEntries: readonly number[];
  /** What the stack of each core reports; null for one that reports nothing. */
  readonly totals: readonly (StackTotals | null)[];
  /** What the TCP of each core does; null where its stack is not ours. */
  readonly tcp: readonly (TcpFigures | null)[];
}

export async function snapshotOf(
  port: Port,
  totalsOf: () => Promise<readonly (StackTotals | undefined)[]>,
): Promise<PortSnapshot> {
  const [ofStacks, tcp] = await Promise.all([totalsOf(), port.tcp()]);
  const totals = ofStacks.map((own) => own ?? null);
  const { name, mac, address, indirection } = port;
  const sample = sampleOf(port);
  const rssEntries = sample.cores.map(() => 0);
  for (const core of indirection.get()) rssEntries[core]++;
  return {
    ...{ device: name, mac: formatMac(mac), address: addressText(port), gateway: address.gateway },
    ...{ rssEntries, totals, tcp, ...sample },
  };
}
