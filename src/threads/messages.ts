/** What the threads of a port with several cores say to each other, beside the packets: all of it structured-cloneable. */
import type { NetCounterName } from '../../drivers/net-device.js';
import type { TxLoan } from '../../drivers/virtio/lending/tx-loan.js';
import type { BufferGeometry } from '../../rings/buffer-pool.js';
import type { CounterShare } from '../../rings/counters.js';
import type { ResolvedConfig } from '../config.js';
import type { L2CounterName } from '../counters.js';
import type { RssShare } from '../rss/rss.js';
import type { StackOptions } from '../stack.js';
import type { InterconnectShare } from './interconnect.js';

export type L2Share = CounterShare<L2CounterName>;

/** What every thread is started with. */
export interface CommonStart {
  readonly config: ResolvedConfig;
  readonly interconnect: InterconnectShare;
  /** The CPU to run on, if any. */
  readonly cpu: number | undefined;
  /** As `top -H` shows it. */
  readonly name: string;
  /** For what this thread counts. */
  readonly counters: L2Share;
}

/** Packet memory and device, as the thread that opened it found them. */
export interface OpenedDevice {
  readonly buffer: SharedArrayBuffer;
  /** The packet memory within `buffer`, in bytes. */
  readonly start: number;
  readonly bytes: number;
  readonly geometry: BufferGeometry;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly name: string;
  readonly notice: string;
  /** What the device counts; brought up to date now and then. */
  readonly counters: CounterShare<NetCounterName>;
}

export interface RxStart extends CommonStart {
  /** What the Rx worker counts for each core. */
  readonly coreCounters: readonly L2Share[];
  readonly rss: RssShare;
  /** What is counted of sending, where this thread sends as well. */
  readonly txCounters: L2Share;
}

export interface StackStart extends CommonStart {
  readonly index: number;
  readonly rss: RssShare;
  /** Name or file of the app. */
  readonly app: string;
  readonly appOptions: StackOptions;
}

/** Whatever a thread has thrown, as it can be sent to another. */
export interface ThrownElsewhere {
  readonly message: string;
  readonly name: string;
  readonly stack: string | undefined;
  /** As the errors of tspmd and of Node have it. */
  readonly code: string | undefined;
}

/** What was thrown, to be sent to another thread. */
export function thrownElsewhere(thrown: unknown): ThrownElsewhere {
  if (!(thrown instanceof Error)) return { message: String(thrown), name: 'Error', stack: undefined, code: undefined };
  const { message, name, stack } = thrown;
  const { code } = thrown as { code?: unknown };
  return { message, name, stack, code: typeof code === 'string' ? code : undefined };
}

/** From a thread to the port. */
export type Report =
  | { readonly type: 'opened'; readonly device: OpenedDevice; readonly loan: TxLoan | null }
  /** It runs. */
  | { readonly type: 'ready' }
  | { readonly type: 'warning'; readonly line: string }
  | { readonly type: 'link'; readonly state: 'up' | 'down'; readonly reason: string }
  /** What is in flight of the Rx worker's buffers, now that a core is retired on the Tx side. */
  | { readonly type: 'retired'; readonly core: number; readonly inFlight: Uint8Array }
  /** It ended in good order, with the stack's totals. */
  | { readonly type: 'ended'; readonly totals: Readonly<Record<string, number>> | undefined }
  /** It cannot go on; the thread ends. */
  | { readonly type: 'failed'; readonly thrown: ThrownElsewhere };

/** From the port to a thread. */
export type Order =
  /** To the Tx worker, which has waited for it since it was started: the queue it sends on. */
  | { readonly type: 'lend'; readonly loan: TxLoan }
  /** To a core, likewise: the device's memory. */
  | { readonly type: 'attach'; readonly device: OpenedDevice }
  /** To a core: everybody is there, the stack may run. */
  | { readonly type: 'go' }
  | { readonly type: 'announce' }
  /** To the Tx side: drop what `core` has queued, and answer with `retired`. */
  | { readonly type: 'retireTx'; readonly core: number }
  /** To the Rx side: take back what `core` has. */
  | { readonly type: 'retireRx'; readonly core: number; readonly inFlight: Uint8Array }
  | { readonly type: 'stop' };
