/**
 * tspmd: a userspace virtio-net poll-mode driver and layer-2 packet layer.
 *
 * @example Receives every packet that is for us, without a stack:
 * ```ts
 * import { init } from 'tspmd';
 *
 * const stop = new AbortController();
 * process.once('SIGINT', () => stop.abort());
 * await using port = await init({ device: 'vhost-user:/tmp/vm1.sock', ip: '10.0.0.1/24' });
 * const core = port.core();
 * while (!stop.signal.aborted) {
 *   const count = await core.waitForPackets({ signal: stop.signal });
 *   for (let i = 0; i < count; i++) {
 *     const packet = core.getBufferRx()!; // packet.bytes: IP header and payload; packet.length bytes
 *     core.release(packet); // or change it and core.addBufferToRing(packet)
 *   }
 * }
 * ```
 *
 * @module tspmd
 */
export type { HugepagePolicy, MemoryViews } from '../drivers/memory/index.js';
export type { DeviceCounters, NetDevice } from '../drivers/net-device.js';
export {
  OFFLOAD_CHAIN,
  OFFLOAD_CSUM,
  OFFLOAD_ECN,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  type OffloadPolicy,
} from '../drivers/offloads.js';
export type { IdlePolicy } from '../drivers/poll-loop.js';
export type { StopSignal } from '../drivers/stop-signal.js';
export type { RingLayout } from '../drivers/virtio/net-options.js';
export type {
  FileUrl,
  Layer,
  Mode,
  MulticoreConfig,
  ResolvedConfig,
  SingleConfig,
  TspmdConfig,
  WaitOptions,
} from './config.js';
export type { LayerCounters, PortCounters } from './counters.js';
export {
  AbortedError,
  AppError,
  ArgumentError,
  ConfigError,
  CoreError,
  DeviceError,
  LeaseError,
  OwnershipError,
  StateError,
  TspmdError,
  type TspmdErrorCode,
  WorkerError,
} from './errors.js';
export { type InitOptions, init, type OpenDevice } from './init.js';
export type { Core, WaitForPacketsOptions } from './link/core.js';
export type { Lease } from './link/dhcp/lease.js';
export { Checksum, type ChecksumState, type PacketBuffer } from './link/packet-buffer.js';
export type {
  ConnectionList,
  ConnectionOrder,
  ConnectionQuery,
  ListedConnection,
  RttHistogram,
  TcpFigures,
} from './link/published.js';
export { type RunOptions, runStack } from './link/run-loop.js';
export type { WarningSink } from './link/warnings.js';
export type {
  CoreStatus,
  MulticorePort,
  Port,
  PortAddress,
  PortBase,
  PortEvents,
  PortStatus,
  RingStatus,
  SinglePort,
  StackTotals,
  ThreadStatus,
  WorkerStatus,
} from './port.js';
export type { IndirectionTable } from './rss/indirection-table.js';
export type { ResolvedRss, RssOptions } from './rss/keys.js';
export type { FlowTuple } from './rss/rss.js';
export {
  createStack,
  type EventLoopStack,
  loadStack,
  type PacketHandler,
  type Stack,
  type StackFactory,
  type StackModule,
  type StackOptions,
} from './stack.js';
export { formatIpv4, formatMac, parseIpv4, parseMac } from './wire/address.js';
