/** The messages between the threads of a port, and what each thread is started with: all of it structured-cloneable. */
import type { NetCounterName } from '../../drivers/net-device.js';
import type { TxLoan } from '../../drivers/virtio/lending/tx-loan.js';
import type { CaptureOrder } from '../../observe/capture/sink.js';
import type { BufferGeometry } from '../../rings/buffer-pool.js';
import type { CounterShare } from '../../rings/counters.js';
import type { ResolvedConfig } from '../config.js';
import type { L2CounterName } from '../counters.js';
import type { AddressChange, Lease } from '../link/dhcp/lease.js';
import type { ConnectionList, ConnectionQuery, TcpFigures } from '../link/published.js';
import type { StackTotals } from '../port.js';
import type { RssShare } from '../rss/rss.js';
import type { StackOptions } from '../stack.js';
import type { InterconnectShare } from './shared/interconnect.js';

export type L2Share = CounterShare<L2CounterName>;

/** What every thread is started with. */
export interface CommonStart {
  readonly config: ResolvedConfig;
  readonly interconnect: InterconnectShare;
  /** The CPU to run on; undefined: not pinned. */
  readonly cpu: number | undefined;
  /** The name that `top -H` shows. */
  readonly name: string;
  /** What this thread counts. */
  readonly counters: L2Share;
}

/** The device and its packet memory, described by the thread that opened it. */
export interface OpenedDevice {
  readonly buffer: SharedArrayBuffer;
  /** The packet memory within `buffer`, in bytes. */
  readonly start: number;
  readonly bytes: number;
  readonly geometry: BufferGeometry;
  /** The words of its packet table. */
  readonly table: Int32Array;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly name: string;
  readonly notice: string;
  /** What the device counts; published from time to time. */
  readonly counters: CounterShare<NetCounterName>;
}

export interface RxStart extends CommonStart {
  /** What the Rx worker counts for each core. */
  readonly coreCounters: readonly L2Share[];
  readonly rss: RssShare;
  /** What the Tx loop counts, when this thread sends as well. */
  readonly txCounters: L2Share;
}

export interface StackStart extends CommonStart {
  readonly index: number;
  readonly rss: RssShare;
  /** The name or the file of the app. */
  readonly app: string;
  readonly appOptions: StackOptions;
}

/** A copy of what a thread has thrown, which can be sent to another thread. */
export interface ThrownCopy {
  readonly message: string;
  readonly name: string;
  readonly stack: string | undefined;
  /** `code` of the error, which the errors of tspmd and of Node have. */
  readonly code: string | undefined;
}

export function copyThrown(thrown: unknown): ThrownCopy {
  if (!(thrown instanceof Error)) return { message: String(thrown), name: 'Error', stack: undefined, code: undefined };
  const { message, name, stack } = thrown;
  const { code } = thrown as { code?: unknown };
  return { message, name, stack, code: typeof code === 'string' ? code : undefined };
}

/** What a core can be asked while it runs, and how it answers. */
export interface CoreAnswers {
  /** What its stack has done until now. */
  readonly totals: StackTotals | undefined;
  readonly tcp: TcpFigures | null;
  readonly connections: ConnectionList | null;
}

export type CoreQuestion =
  | { readonly what: 'totals' | 'tcp' }
  | { readonly what: 'connections'; readonly query: ConnectionQuery };

/** A message from a thread to the port. */
export type Report =
  | { readonly type: 'opened'; readonly device: OpenedDevice; readonly loan: TxLoan | null }
  /** The thread runs. */
  | { readonly type: 'ready' }
  | { readonly type: 'warning'; readonly line: string }
  /** From the Rx worker: no DHCP server has given us an address. */
  | { readonly type: 'noLease'; readonly reason: string }
  /** From the Rx worker: the lease is given back, as far as that can be known. */
  | { readonly type: 'released' }
  /** From the Rx worker: our address has changed. The cores read it in shared memory already. */
  | { readonly type: 'address'; readonly change: AddressChange }
  | { readonly type: 'link'; readonly state: 'up' | 'down'; readonly reason: string }
  /**
   * The Tx loop has dropped what `core` had queued. `inFlight`: which buffers of the Rx worker are still to be sent.
   */
  | { readonly type: 'retired'; readonly core: number; readonly inFlight: Uint8Array }
  /** From a core: the answer to the question `id`. */
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  /** The thread has ended in good order, with the totals of its stack. */
  | { readonly type: 'ended'; readonly totals: Readonly<Record<string, number>> | undefined }
  /** The program of the thread ends it by itself. */
  | {
      readonly type: 'over';
      readonly exitCode: number;
      readonly totals: Readonly<Record<string, number>> | undefined;
    }
  /** The thread has failed, and ends. */
  | { readonly type: 'failed'; readonly thrown: ThrownCopy };

/** A message from the port to a thread. */
export type Order =
  /** To the Tx worker, which waits for it: the transmit queue of the device. */
  | { readonly type: 'lend'; readonly loan: TxLoan }
  /** To a core, which waits for it: the memory of the device, and the lease that our address comes from. */
  | { readonly type: 'attach'; readonly device: OpenedDevice; readonly lease: Lease | null }
  /** To a core: all threads are ready, the stack may run. */
  | { readonly type: 'start' }
  /** To the Rx worker: change our address, and answer with `address`. */
  | { readonly type: 'setAddress'; readonly change: AddressChange }
  /** To a core: our address has changed, and comes from this lease. */
  | { readonly type: 'lease'; readonly lease: Lease | null }
  /** To a core: answer with `answer`. */
  | { readonly type: 'ask'; readonly id: number; readonly question: CoreQuestion }
  /** To the Rx worker: give the lease back, and answer with `released`. */
  | { readonly type: 'release' }
  /** To the Rx worker: announce our address by ARP. */
  | { readonly type: 'announce' }
  /** To the thread with the Tx loop: drop what `core` has queued, and answer with `retired`. */
  | { readonly type: 'retireTx'; readonly core: number }
  /** To the Rx worker: take back the buffers that `core` has. */
  | { readonly type: 'retireRx'; readonly core: number; readonly inFlight: Uint8Array }
  /** Begin a capture, and end one. */
  | { readonly type: 'capture'; readonly wanted: CaptureOrder }
  | { readonly type: 'endCapture'; readonly id: number }
  | { readonly type: 'stop' };
