export { monotonicMs, threadCpuMs } from './clock.js';
export { CLOSE_PATIENCE_MS, type Closer, closeInPlace, FileCloser, finishClosing, unclosed } from './closer.js';
export * as abi from './constants.js';
export { SystemError } from './errors.js';
export {
  allocatePages,
  closeFile,
  duplicateFile,
  emptyMemfd,
  eventfd,
  ioctl,
  memfd,
  memorySeals,
  openFile,
  readTo,
  setNonBlocking,
  writeFrom,
} from './files.js';
export {
  type InterfaceState,
  interfaceState,
  isInterfaceUp,
  setInterfaceAddress,
  setInterfaceMac,
} from './interfaces.js';
export { IoVector } from './io-vector.js';
export { addressOf, mapFileAt, mapZeroAt } from './mapping.js';
export { Reactor, type ReadyHandler } from './reactor/reactor.js';
export { signalEventfd } from './signal-eventfd.js';
export { endProcessIn, parseThreadStat, SignalActions, type SignalName, type ThreadState } from './signals.js';
export {
  acceptUnix,
  bindPacketSocket,
  connectUnix,
  isSocketInUse,
  listenUnix,
  MAX_FDS,
  MessageSocket,
  packetSocket,
  type Received,
  readSocketOption,
  sendDatagram,
  sendRing,
  setSocketOption,
} from './sockets.js';
export { nameThread, pinPollingThread, pinThread, startUnpinned } from './threads.js';
