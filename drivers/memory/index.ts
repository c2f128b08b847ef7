export { type AddressSpace, LinearAddressSpace } from './iova.js';
export { type HugepagePolicy, PacketMemory } from './packet-memory.js';
export { HUGEPAGE_BYTES, MAX_WINDOW_BYTES, type MemoryViews, MemoryWindow } from './window.js';
