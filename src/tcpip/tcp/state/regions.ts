/**
 * Memory for bytes that stay for a while: data that may have to be sent again, and received data that is out of order
 * or that the application has not taken. A *region* is a ring whose size is a power of two. A connection that has no
 * such bytes has no region.
 *
 * Regions are cut from arenas. An arena of 1 MiB holds regions of one size, up to 256 KiB; a larger region has an arena
 * of its own. An arena without a region in use is kept for a while, and then left to the garbage collector, so that
 * memory returns to the system after a peak.
 */

/** Size of the smallest region. */
export const MIN_REGION_BYTES = 1024;
/** Regions up to this size may use the reserve of a pool. */
export const SMALL_REGION_BYTES = 2048;
/** Size of the largest region: the window of a TCP connection is at most 2^30 bytes (RFC 7323, 2.3). */
export const MAX_REGION_BYTES = 1 << 30;
/** Size of the pieces of a region for which there are views: {@link Region.chunk}. */
export const CHUNK_BYTES = 1024;
/** Size of an arena of several regions. */
const ARENA_BYTES = 1 << 20;
/** Largest region that shares its arena. */
const SHARED_BYTES = 1 << 18;
/** The arenas may take so many times the limit of the regions. */
const RESERVED_LIMITS = 2;
/** And in any case one arena for each size of the regions that share one. */
const RESERVED_BASE = 9 * ARENA_BYTES;
/** An arena without a region in use is dropped after this time. */
const IDLE_MS = 10_000;
/** {@link RegionPool.tick} looks for such arenas at most this often. */
const TICK_MS = 1_000;

/** The memory of one or several regions of one size. */
class Arena {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  /** How many of its regions are in use. */
  inUse = 0;
  /** The first of its free regions. */
  free: Region | null = null;
  /** Its neighbours in the list of arenas of its class that have a free region. */
  next: Arena | null = null;
  previous: Arena | null = null;
  /** When its last region was released. */
  emptyMs = 0;

  constructor(
    readonly bytes: number,
    readonly sizeClass: number,
  ) {
    const buffer = new ArrayBuffer(bytes);
    this.u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    const size = MIN_REGION_BYTES << sizeClass;
    for (let start = bytes - size; start >= 0; start -= size) {
      const region = new Region(this, start, size);
      region.next = this.free;
      this.free = region;
    }
  }
}

/**
 * A ring of bytes. The byte with sequence number `seq` is at `start + (seq & (size - 1))`. The bytes of a new region
 * are those of its last user.
 */
export class Region {
  /** The bytes of the whole arena. */
  readonly u8: Uint8Array;
  /** The same bytes as words. */
  readonly i32: Int32Array;
  /** The next free region of the arena. Belongs to {@link RegionPool}. */
  next: Region | null = null;
  /** Whether {@link RegionPool} has handed it out. */
  used = false;
  /** Views of the chunks that were asked for. */
  private chunks: Uint8Array[] | null = null;

  /**
   * @param arena belongs to {@link RegionPool}
   * @param start offset of the first byte in the arena; a multiple of 1024
   * @param size in bytes; a power of two
   */
  constructor(
    readonly arena: Arena,
    readonly start: number,
    readonly size: number,
  ) {
    this.u8 = arena.u8;
    this.i32 = arena.i32;
  }

  /**
   * A view of {@link CHUNK_BYTES} bytes of the region, as the argument of `set`, which copies three times as fast as a
   * loop. Made at the first use and kept, so that nothing is allocated per packet.
   * @param index of the chunk, from the beginning of the region
   */
  chunk(index: number): Uint8Array {
    if (this.chunks === null) this.chunks = this.makeChunks();
    return this.chunks[index];
  }

  private makeChunks(): Uint8Array[] {
    const { u8, start, size } = this;
    return Array.from({ length: size / CHUNK_BYTES }, (_, i) => {
      return u8.subarray(start + i * CHUNK_BYTES, start + (i + 1) * CHUNK_BYTES);
    });
  }
}

/** Hands out regions up to a limit. `allocate` and `release` take the same time whatever the pool holds. */
export class RegionPool {
  /** Bytes of all regions in use. */
  used = 0;
  /** Bytes of all arenas: what the pool takes from the system. */
  reserved = 0;
  /**
   * Per class: the list of arenas that have a free region. Arenas without a region in use come last, so that they stay
   * unused until they are dropped.
   */
  private readonly partial: (Arena | null)[] = [];
  private readonly lastPartial: (Arena | null)[] = [];
  private emptyArenas = 0;
  private nowMs = 0;
  private tickedMs = 0;

  /**
   * @param limit the most bytes that all regions in use may have together
   * @param reserve how many of these only small regions may use. So peers that make us keep much for long cannot stop
   *   the other connections: each of them can still send a little at a time
   */
  constructor(
    readonly limit: number,
    private readonly reserve = 0,
  ) {
    const classes = sizeClassOf(MAX_REGION_BYTES) + 1;
    for (let i = 0; i < classes; i++) {
      this.partial.push(null);
      this.lastPartial.push(null);
    }
  }

  /**
   * Hands out a region, which the caller owns until {@link release}.
   * @param size bytes that are needed; the region has the next power of two, and at least 1024
   * @param isEssential the limit may be passed, because no memory would ever be released without this region
   * @returns null when the limit would be passed, or the reserve touched; and for more than 2^30 bytes
   */
  allocate(size: number, isEssential = false): Region | null {
    if (size > MAX_REGION_BYTES) return null;
    const sizeClass = sizeClassOf(size);
    const bytes = MIN_REGION_BYTES << sizeClass;
    if (!isEssential && !this.hasRoomFor(bytes)) return null;
    let arena = this.partial[sizeClass];
    if (arena === null) {
      arena = this.addArena(sizeClass, isEssential);
      if (arena === null) return null;
    } else if (arena.inUse === 0) {
      this.emptyArenas--;
    }
    const region = arena.free!;
    arena.free = region.next;
    region.next = null;
    region.used = true;
    arena.inUse++;
    if (arena.free === null) this.unlink(arena);
    this.used += bytes;
    return region;
  }

  /** Whether a region of `bytes`, a power of two, can be handed out now. */
  hasRoomFor(bytes: number): boolean {
    return this.used + bytes <= (bytes <= SMALL_REGION_BYTES ? this.limit : this.limit - this.reserve);
  }

  /**
   * Takes a region back.
   * @throws Error when it is not in use, because two connections would share it afterwards
   */
  release(region: Region): void {
    if (!region.used) throw new Error(`a region of ${region.size} bytes was released twice; release it once`);
    const arena = region.arena;
    region.used = false;
    if (arena.free === null) this.link(arena);
    region.next = arena.free;
    arena.free = region;
    this.used -= region.size;
    if (--arena.inUse === 0) {
      this.unlink(arena);
      this.linkLast(arena);
      arena.emptyMs = this.nowMs;
      this.emptyArenas++;
    }
  }

  /**
   * Drops arenas that nobody has used for 10 s. Call it in each poll or less often: it costs a comparison unless a
   * second has passed.
   * @param nowMs int32 milliseconds that may wrap
   */
  tick(nowMs: number): void {
    this.nowMs = nowMs;
    if (((nowMs - this.tickedMs) | 0) < TICK_MS) return;
    this.tickedMs = nowMs;
    if (this.emptyArenas !== 0) this.dropEmpty(IDLE_MS);
  }

  /**
   * Takes an arena from the system. One region keeps a whole arena, so a peer that makes us keep one of each arena, size
   * after size, could make us take many times the limit: twice is the most.
   */
  private addArena(sizeClass: number, isEssential: boolean): Arena | null {
    const size = MIN_REGION_BYTES << sizeClass;
    const bytes = size <= SHARED_BYTES ? ARENA_BYTES : size;
    // Empty arenas of other classes must not make the pool take more than its limit from the system.
    if (this.emptyArenas !== 0 && this.reserved + bytes > this.limit) this.dropEmpty(0);
    if (!isEssential && this.reserved + bytes > RESERVED_LIMITS * this.limit + RESERVED_BASE) return null;
    const arena = new Arena(bytes, sizeClass);
    this.reserved += bytes;
    this.link(arena);
    return arena;
  }

  /** Drops the arenas that have been empty for `idleMs` or longer. */
  private dropEmpty(idleMs: number): void {
    for (let i = 0; i < this.partial.length; i++) {
      let arena = this.partial[i];
      while (arena !== null) {
        const next: Arena | null = arena.next;
        if (arena.inUse === 0 && ((this.nowMs - arena.emptyMs) | 0) >= idleMs) {
          this.unlink(arena);
          this.reserved -= arena.bytes;
          this.emptyArenas--;
        }
        arena = next;
      }
    }
  }

  private link(arena: Arena): void {
    const first = this.partial[arena.sizeClass];
    arena.next = first;
    if (first === null) this.lastPartial[arena.sizeClass] = arena;
    else first.previous = arena;
    this.partial[arena.sizeClass] = arena;
  }

  private linkLast(arena: Arena): void {
    const last = this.lastPartial[arena.sizeClass];
    arena.previous = last;
    if (last === null) this.partial[arena.sizeClass] = arena;
    else last.next = arena;
    this.lastPartial[arena.sizeClass] = arena;
  }

  private unlink(arena: Arena): void {
    if (arena.previous === null) this.partial[arena.sizeClass] = arena.next;
    else arena.previous.next = arena.next;
    if (arena.next === null) this.lastPartial[arena.sizeClass] = arena.previous;
    else arena.next.previous = arena.previous;
    arena.next = null;
    arena.previous = null;
  }
}

/** Class 0 has regions of 1024 bytes, each further class twice as much. */
function sizeClassOf(size: number): number {
  return size <= MIN_REGION_BYTES ? 0 : 32 - Math.clz32((size - 1) >>> 10);
}
