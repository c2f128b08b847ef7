import { describe, expect, it } from 'vitest';
import { BufferPool, FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import { TxFetcher } from '../../../../../src/link/bursts/line-fetcher.js';
import { ETH_HEADER_BYTES } from '../../../../../src/wire/ethernet.js';

const GEOMETRY = { count: 64, shift: 11, base: 4096 };
const MARK = 0xa5;

function setUp(layer: 'ip' | 'ethernet' = 'ip') {
  const buffer = new SharedArrayBuffer(GEOMETRY.base + (GEOMETRY.count << GEOMETRY.shift));
  const memory = { u8: new Uint8Array(buffer).fill(MARK), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  const pool = new BufferPool(GEOMETRY);
  return { memory, pool, fetcher: new TxFetcher(memory, pool, layer) };
}

/** Takes `count` buffers as a core does. */
function take({ pool, fetcher }: ReturnType<typeof setUp>, count: number): number[] {
  return Array.from({ length: count }, () => {
    fetcher.take();
    return pool.get();
  });
}

/** The buffers in which bytes have changed. Demands that these bytes are the place of an Ethernet header. */
function written({ memory: { u8 }, pool }: ReturnType<typeof setUp>): number[] {
  const handles: number[] = [];
  const expected = new Uint8Array(u8.length).fill(MARK);
  for (let handle = 0; handle < GEOMETRY.count; handle++) {
    const frame = pool.offsetOf(handle) + FRAME_OFFSET;
    const header = u8.slice(frame, frame + ETH_HEADER_BYTES);
    if (header.some((byte) => byte !== MARK)) handles.push(handle);
    expected.set(header, frame);
  }
  expect(u8).toEqual(expected);
  return handles;
}

const first = (count: number): number[] => Array.from({ length: count }, (_, handle) => handle);

describe('TxFetcher', () => {
  it('writes header places of free buffers only, as many as the stack took last time', () => {
    const t = setUp();
    const taken = take(t, 10);
    expect(written(t)).toEqual([]);
    for (const handle of taken.reverse()) t.pool.put(handle);
    t.fetcher.poll();
    take(t, 1);
    expect(written(t)).toEqual(first(10));
  });

  it('writes a burst at a time, and nothing in buffers that were taken before', () => {
    const t = setUp();
    const taken = take(t, 60);
    for (const handle of taken.reverse()) t.pool.put(handle);
    t.fetcher.poll();
    take(t, 32);
    expect(written(t)).toEqual(first(32));
    t.memory.u8.fill(MARK);
    take(t, 1);
    expect(written(t)).toEqual(first(60).slice(32));
  });

  it('leaves a stack alone that takes few buffers, and an empty pool', () => {
    const t = setUp();
    for (const handle of take(t, 3).reverse()) t.pool.put(handle);
    t.fetcher.poll();
    take(t, 40);
    t.fetcher.poll();
    for (let rest = t.pool.available; rest > 0; rest--) t.pool.get();
    take(t, 1);
    expect(written(t)).toEqual([]);
  });
});

describe('TxFetcher with layer ethernet', () => {
  it('writes nothing, because the header belongs to the stack', () => {
    const t = setUp('ethernet');
    for (const handle of take(t, 40).reverse()) t.pool.put(handle);
    t.fetcher.poll();
    take(t, 40);
    expect(written(t)).toEqual([]);
  });
});
