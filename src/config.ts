/** The configuration as the user writes it, and as it is after it was checked. */
import type { HugepagePolicy } from '../drivers/memory/index.js';
import type { OffloadPolicy } from '../drivers/offloads.js';
import type { IdlePolicy } from '../drivers/poll-loop.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { RingLayout } from '../drivers/virtio/net-options.js';
import type { WarningSink } from './link/warnings.js';
import type { ResolvedRss, RssOptions } from './rss/keys.js';

/**
 * Groups: the path of the socket; whether tspmd makes the socket (`server=1`, an option of DPDK's virtio-user, too).
 */
export const VHOST_USER_DEVICE = /^vhost-user:(?!,server=[01]$)(.+?)(?:,server=([01]))?$/;

/** Groups: the name of the interface; the kernel's address on it. */
export const TAP_DEVICE = /^tap:([^,]+)(?:,host=(.*))?$/;

/** The thread layout: who polls the vNIC. The stack's own core, one kernel-bypass thread (`1kb`), or two (`2kb`). */
export type Mode = 'single' | '1kb' | '2kb';
/** What a stack gets: the IP packets that are for it, or every frame as it is. */
export type Layer = 'ip' | 'ethernet';

/** Options of a stack, as the command line or a caller gives them. */
export type StackOptions = Readonly<Record<string, unknown>>;

/** Configuration of {@link init}. */
export interface TspmdConfig {
  /**
   * `vhost-user:PATH` (a socket of BESS, OVS, DPDK or `tspmd switch`) or a PCI address such as `0000:00:04.0`. With
   * `vhost-user:PATH,server=1` tspmd makes the socket and waits until a backend connects, such as OVS's
   * dpdkvhostuserclient.
   *
   * `tap:NAME` is an interface of this machine's kernel, only with mode `single`. With `tap:NAME,host=10.0.0.9/24` the
   * kernel gets this address on it, and the interface is brought up.
   */
  device: string;
  /**
   * Our IPv4 address and prefix length: `10.0.0.1/24`. With `dhcp` they come from a DHCP server, and the gateway, too:
   * `init` waits for the first lease, for 30 s at most, and the port keeps it renewed.
   */
  ip: string;
  /** Our MAC address. Default: that of the device; for a device that has none, a random one. */
  mac?: string;
  /** Longest IP packet in bytes, 68 to 9000. Default: that of the device, or 1500 if the device does not tell. */
  mtu?: number;
  /** The thread layout. Default `single`. */
  mode?: Mode;
  /**
   * CPUs to run on: one with mode `single`. With `1kb` the last one receives and sends; with `2kb` the last one
   * receives and the last but one sends. Each of the others runs one core of the stack. Default: threads are not
   * pinned, and there are as many cores as the machine has CPUs for, at least one. A CPU that does not exist is an
   * error with `single`; otherwise it is a warning, and its thread runs unpinned.
   */
  cores?: readonly number[];
  /**
   * The stack: the sample app `echo`, `macswap`, `rxonly` or `txonly`, or the file of a module, as a path or a `file:`
   * URL (such as `new URL('./my-stack.js', import.meta.url)`). Required with `1kb` and `2kb`.
   */
  app?: string | FileUrl;
  /** Options for the app. */
  appOptions?: StackOptions;
  /** How flows are spread over the cores. Default: by the Microsoft key, both directions of a flow to the same core. */
  rss?: RssOptions;
  /**
   * What happens when the stack of a core fails: the other cores get its flows (`redistribute`, the default), or the
   * port stops.
   */
  onCoreFailure?: 'redistribute' | 'stop';
  /** How many packets a core may send before the next core may, 1 to 256. Default 32. */
  coreBurst?: number;
  /** What happens when no packets come: sleep (`adaptive`, the default) or keep polling (`spin`). */
  idle?: IdlePolicy;
  /** Neighbours that are not asked for by ARP: IP address -> MAC address. Default: none. */
  neighbours?: Readonly<Record<string, string>>;
  /**
   * Next hop for destinations that are not on the link. Default: none; such packets are dropped and counted. With `ip:
   * 'dhcp'` the server names it.
   */
  gateway?: string;
  /**
   * `auto` (default) uses hugepages if there are any, and otherwise normal pages with a warning; `require` fails
   * without them; `never` takes none.
   */
  hugepages?: HugepagePolicy;
  /**
   * Layout of the virtqueues. `auto` (default) is `split`, which every device has. `packed` fails on a device without packed
   * virtqueues.
   */
  ring?: RingLayout;
  /**
   * `auto`: the device computes checksums, segments TCP, and delivers received TCP in large packets, as far as it can; packets
   * may lie in several buffers. `off`: none of it, and the shortest way for each packet. Default: what the app's module
   * exports as `offloads`, otherwise `off`.
   */
  offloads?: OffloadPolicy;
  /**
   * Number of packet buffers, 256 to 65536; 2 KiB each (4 KiB with `offloads: 'auto'`), or as much as the MTU needs. Default 4096, and with `1kb` and
   * `2kb` 1024 more for each core from the third on.
   */
  buffers?: number;
  /** What the stack gets. Default `ip`. With `ethernet` there is no filter, no ARP and no DHCP. */
  layer?: Layer;
  /**
   * Deliver packets to 255.255.255.255 and to the broadcast address of the prefix. Default false: dropped and counted.
   */
  acceptBroadcast?: boolean;
  /** Deliver packets to 224.0.0.0/4. Default false: dropped and counted. */
  acceptMulticast?: boolean;
}

/** The part of a URL object that tspmd uses. */
export interface FileUrl {
  readonly href: string;
}

/** A {@link TspmdConfig} for which `init` returns a {@link SinglePort}. */
export interface SingleConfig extends TspmdConfig {
  mode?: 'single';
}

/** A {@link TspmdConfig} for which `init` returns a {@link MulticorePort}. */
export interface MulticoreConfig extends TspmdConfig {
  mode: '1kb' | '2kb';
  app: string | FileUrl;
}

/** A {@link TspmdConfig} that was checked, with the defaults filled in. Addresses are unsigned numbers. */
export interface ResolvedConfig {
  readonly device: string;
  /** 0 with `ip: 'dhcp'`. */
  readonly address: number;
  readonly prefixLength: number;
  /** Whether our address comes from DHCP. */
  readonly isDhcp: boolean;
  readonly mac: Uint8Array | undefined;
  readonly mtu: number | undefined;
  readonly mode: Mode;
  /** The CPU of each thread; undefined: not pinned. */
  readonly cores: readonly (number | undefined)[];
  /** Cores that run the stack. */
  readonly stackCores: number;
  /** Name of a sample app, or the path of a file. */
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
  readonly offloads: OffloadPolicy;
  readonly buffers: number;
  readonly layer: Layer;
  readonly acceptBroadcast: boolean;
  readonly acceptMulticast: boolean;
}

/** Options of opening a device that may have to wait for a backend. */
export interface WaitOptions {
  /** Ends the wait: opening the device then fails. */
  readonly signal?: StopSignal | undefined;
  /** Gets one line when the wait begins. */
  readonly warn: WarningSink;
}
