/** A raw socket on a network interface, with two rings that this process shares with the kernel (packet(7)). */
import {
  abi,
  bindPacketSocket,
  closeFile,
  type InterfaceState,
  interfaceState,
  packetSocket,
  SystemError,
  setSocketOption,
} from '../../libc/index.js';
import type { WindowAllocator, WindowRange } from '../../memory/index.js';
import { type RingPlace, RingSize } from './layout.js';

/** 992 frames, for 2 ms of 500,000 packets per second: 64 MiB of the kernel's memory. */
const RX_RING = new RingSize(32);
/** 248 frames: 16 MiB. */
const TX_RING = new RingSize(8);
const RINGS_BYTES = RX_RING.bytes + TX_RING.bytes;

export interface RawSocket {
  readonly fd: number;
  /** The memory of both rings. */
  readonly range: WindowRange;
  readonly rx: RingPlace;
  readonly tx: RingPlace;
  /** The state of the interface when the socket was opened. */
  readonly state: InterfaceState;
}

/**
 * Opens a raw socket on the interface `ifname`, and maps its rings into the window that peers share. From then on it gets
 * all frames that come in by the interface.
 * @param bypass frames that are sent pass by the queueing discipline of the interface
 * @throws Error that says what is missing
 */
export function openRawSocket(ifname: string, windows: WindowAllocator, bypass: boolean): RawSocket {
  const fd = openSocket(ifname);
  try {
    const state = interfaceState(fd, ifname);
    if (state === null)
      throw new Error(`${nameOf(ifname)}: there is no such interface ('ip link' lists those there are)`);
    if (!state.isEthernet) throw new Error(`${nameOf(ifname)}: it is not an Ethernet interface`);
    const set = (option: number, name: string, ...words: number[]): void =>
      setSocketOption(fd, abi.SOL_PACKET, option, words, name, ifname);
    set(abi.PACKET_VERSION, 'PACKET_VERSION', abi.TPACKET_V2);
    set(abi.PACKET_VNET_HDR, 'PACKET_VNET_HDR', 1);
    set(abi.PACKET_IGNORE_OUTGOING, 'PACKET_IGNORE_OUTGOING', 1);
    set(abi.PACKET_TX_HAS_OFF, 'PACKET_TX_HAS_OFF', 1);
    if (bypass) set(abi.PACKET_QDISC_BYPASS, 'PACKET_QDISC_BYPASS', 1);
    set(abi.PACKET_RX_RING, 'PACKET_RX_RING', ...RX_RING.request);
    set(abi.PACKET_TX_RING, 'PACKET_TX_RING', ...TX_RING.request);
    allowInFlight(fd, ifname, TX_RING.bytes);
    const range = windows.allocate(RINGS_BYTES);
    try {
      range.window.mapFile(range.offset, RINGS_BYTES, fd, 0, `the rings of ${ifname}`);
      attach(fd, ifname, state.index);
    } catch (error) {
      windows.release(range);
      throw error;
    }
    const { window: memory, offset } = range;
    const rx = { memory, base: offset, size: RX_RING };
    return { fd, range, rx, tx: { memory, base: offset + RX_RING.bytes, size: TX_RING }, state };
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}

/** Binds a socket to the interface of this number, and has the interface take the frames for all stations. */
export function attach(fd: number, ifname: string, index: number): void {
  bindPacketSocket(fd, index, ifname);
  setSocketOption(
    ...([fd, abi.SOL_PACKET, abi.PACKET_ADD_MEMBERSHIP, promiscuous(index), 'PACKET_ADD_MEMBERSHIP', ifname] as const),
  );
}

/** Has the interface take the frames for itself only, unless others want more. It may be gone. */
export function detach(fd: number, ifname: string, index: number): void {
  try {
    setSocketOption(
      ...([
        fd,
        abi.SOL_PACKET,
        abi.PACKET_DROP_MEMBERSHIP,
        promiscuous(index),
        'PACKET_DROP_MEMBERSHIP',
        ifname,
      ] as const),
    );
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

/** `struct packet_mreq`: interface, type (16 bits) and length of an address, which there is none of. */
const promiscuous = (index: number): number[] => [index, abi.PACKET_MR_PROMISC, 0, 0];

function nameOf(ifname: string): string {
  return `af_packet ${ifname}`;
}

function openSocket(ifname: string): number {
  try {
    return packetSocket(ifname);
  } catch (error) {
    if (error instanceof SystemError && error.errno === abi.EPERM) {
      throw new Error(`${nameOf(ifname)}: run as root, or with CAP_NET_RAW (${error.code})`);
    }
    throw error;
  }
}

/** Sets how many bytes may be under way. Beyond the limit of the machine (net.core.wmem_max) it takes CAP_NET_ADMIN. */
function allowInFlight(fd: number, ifname: string, bytes: number): void {
  try {
    setSocketOption(fd, abi.SOL_SOCKET, abi.SO_SNDBUFFORCE, [bytes], 'SO_SNDBUFFORCE', ifname);
  } catch {
    setSocketOption(fd, abi.SOL_SOCKET, abi.SO_SNDBUF, [bytes], 'SO_SNDBUF', ifname);
  }
}
