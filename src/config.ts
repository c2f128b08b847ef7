/** What the user configures, and what that is once it was checked. */
import type { HugepagePolicy } from '../drivers/memory/index.js';
import type { IdlePolicy } from '../drivers/poll-loop.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { RingLayout } from '../drivers/virtio/net-options.js';
import type { WarningSink } from './link/warnings.js';
import type { ResolvedRss, RssOptions } from './rss/keys.js';

/** Path of the socket; whether it is the device that makes it, as DPDK's virtio-user has that option. */
export const VHOST_USER_DEVICE = /^vhost-user:(?!,server=[01]$)(.+?)(?:,server=([01]))?$/;

/** How packets get from the vNIC to the cores: by the core itself, by one kernel-bypass thread (1 KB), or by two. */
export type Mode = 'single' | '1kb' | '2kb';
/** What a stack sees: IP packets that are for it, or every frame as it is. */
export type Layer = 'ip' | 'ethernet';

/** Options of a stack, as the command line or a caller gives them. */
export type StackOptions = Readonly<Record<string, unknown>>;

/** Configuration of {@link init}. */
export interface TspmdConfig {
  /**
   * `vhost-user:PATH` (a socket of BESS, OVS, DPDK or `tspmd switch`) or a PCI address such as `0000:00:04.0`. With
   * `vhost-user:PATH,server=1` it is the device that makes the socket and waits until the backend connects, as OVS's
   * dpdkvhostuserclient does.
   */
  device: string;
  /** Own address and prefix length: `10.0.0.1/24`. */
  ip: string;
  /** Own MAC address. Default: the device's; where it has none, one is chosen. */
  mac?: string;
  /** Longest IP packet in bytes, 68 to 9000. Default: the device's, 1500 where it says nothing. */
  mtu?: number;
  /** Default `single`. */
  mode?: Mode;
  /**
   * CPUs to run on. With mode `single` one. With `1kb` the last one receives and sends, with `2kb` the last one receives
   * and the last but one sends; the others run the stack, one core each. Default: not pinned; and as many cores as the
   * machine has CPUs for, at least one for the stack. A CPU that is not there is an error with `single`; with several threads it
   * is warned of, and its thread runs unpinned.
   */
  cores?: readonly number[];
  /**
   * The stack: `echo`, `macswap`, `rxonly`, `txonly`, or the file of a module, as a path or a `file:` URL (such as
   * `new URL('./my-stack.js', import.meta.url)`). Needed with `1kb` and `2kb`.
   */
  app?: string | FileUrl;
  /** Passed to the app. */
  appOptions?: StackOptions;
  /** How flows are spread over the cores. Default: by the Microsoft key, both directions of a flow to one core. */
  rss?: RssOptions;
  /** When a core's stack fails: its flows go to the others (`redistribute`, the default), or the port stops. */
  onCoreFailure?: 'redistribute' | 'stop';
  /** Packets that a core may send before the others have their turn, 1 to 256. Default 32. */
  coreBurst?: number;
  /** Default `adaptive`. */
  idle?: IdlePolicy;
  /** Neighbours that are never asked for: IP address -> MAC address. Default none. */
  neighbours?: Readonly<Record<string, string>>;
  /** Where packets go whose destination is not on the link. Default: nowhere, they are dropped and counted. */
  gateway?: string;
  /** `auto` (default) falls back to normal pages and says so, `require` fails instead, `never` doesn't try. */
  hugepages?: HugepagePolicy;
  /** Layout of the virtqueues: `auto` (default) leaves it to the driver; a device without packed rings refuses `packed`. */
  ring?: RingLayout;
  /**
   * Packet buffers, 256 to 65536; 2 KiB each, or as much as the MTU needs. Default 4096; with `1kb` and `2kb` 1024 a core of
   * the stack more from the third on.
   */
  buffers?: number;
  /** What the stack sees. Default `ip`. With `ethernet` there is no filter and no ARP. */
  layer?: Layer;
  /** Hand out packets to 255.255.255.255 and to the prefix's broadcast address. Default false: dropped and counted. */
  acceptBroadcast?: boolean;
  /** Hand out packets to 224.0.0.0/4. Default false: dropped and counted. */
  acceptMulticast?: boolean;
}

/** A URL object, as far as it matters. */
export interface FileUrl {
  readonly href: string;
}

/** A {@link TspmdConfig} for which `init` gives a {@link SinglePort}. */
export interface SingleConfig extends TspmdConfig {
  mode?: 'single';
}

/** A {@link TspmdConfig} for which `init` gives a {@link MulticorePort}. */
export interface MulticoreConfig extends TspmdConfig {
  mode: '1kb' | '2kb';
  app: string | FileUrl;
}

/** A {@link TspmdConfig} that was checked, with the defaults filled in. Addresses are unsigned numbers. */
export interface ResolvedConfig {
  readonly device: string;
  readonly address: number;
  readonly prefixLength: number;
  readonly mac: Uint8Array | undefined;
  readonly mtu: number | undefined;
  readonly mode: Mode;
  /** CPU of each thread; undefined where it is not pinned. */
  readonly cores: readonly (number | undefined)[];
  /** Cores that run the stack. */
  readonly stackCores: number;
  /** Name of an app, or the path of a file. */
  readonly app: string | undefined;
  readonly appOptions: StackOptions;
  readonly rss: ResolvedRss;
  readonly onCoreFailure: 'redistribute' | 'stop';
  readonly coreBurst: number;
  readonly idle: IdlePolicy;
  readonly neighbours: ReadonlyMap<number, Uint8Array>;
  readonly gateway: number | undefined;
  readonly hugepages: HugepagePolicy;
  readonly ring: RingLayout;
  readonly buffers: number;
  readonly layer: Layer;
  readonly acceptBroadcast: boolean;
  readonly acceptMulticast: boolean;
}

/** For whoever opens a device that a backend has yet to connect to. */
export interface WaitOptions {
  /** Ends the wait: opening the device then fails. */
  readonly signal?: StopSignal | undefined;
  /** Told in one line when the wait begins. */
  readonly warn: WarningSink;
}
