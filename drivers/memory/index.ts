export { type AddressSpace, contiguousIova, LinearAddressSpace } from './address-space.js';
export { finishSum, foldSum, partialSum, partialSumOfWords } from './checksum.js';
export { type Copy, copierFor, copyBetween } from './copy.js';
export { type Hugepages, readHugepages } from './hugepages.js';
export { type HugepagePolicy, PacketMemory } from './packet-memory.js';
export { PagedAddressSpace, type PhysicalAddressOf, physicalPages } from './paged-address-space.js';
export { HUGEPAGE_BYTES, MAX_WINDOW_BYTES, type MemoryViews, MemoryWindow, signedWords } from './window.js';
export { SHARED_WINDOW_BYTES, WindowAllocator, type WindowRange } from './window-allocator.js';
