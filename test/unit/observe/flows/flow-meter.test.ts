/** The largest flows of the last second, on a clock that the test turns. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Captures } from '../../../../observe/capture/captures.js';
import { type CaptureWish, DIRECTION_IN, DIRECTION_OUT, whereOf } from '../../../../observe/capture/sink.js';
import { FlowMeter } from '../../../../observe/flows/flow-meter.js';
import { makeRecordRing, RecordWriter } from '../../../../rings/record-ring.js';
import { ethernet, ipv4, udp } from '../../../support/link/frames.js';

const EVERY_SHIFT = 14;
const RING_BYTES = 2 ** 22;

let writers: RecordWriter[];
let opened: CaptureWish[];
let closed: number[];
let refusal: Error | null;
let meter: FlowMeter;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  [writers, opened, closed, refusal] = [[], [], [], null];
  const control = {
    open: async (wish: CaptureWish) => {
      opened.push(wish);
      if (refusal !== null) throw refusal;
      const rings = [makeRecordRing(RING_BYTES), makeRecordRing(RING_BYTES)];
      writers = rings.map((ring) => new RecordWriter(ring, 0));
      const interfaces = ['port0', 'port1'].map((name) => ({ name, description: '' }));
      return { rings, interfaces, reasons: [] };
    },
    close: async (id: number) => void closed.push(id),
  };
  meter = new FlowMeter(new Captures(control, 'test'));
});

afterEach(async () => {
  await meter.end();
  vi.useRealTimers();
});

interface Sent {
  /** The last two bytes of the source address. */
  readonly flow?: number;
  readonly length?: number;
  readonly where?: number;
  readonly ring?: number;
}

/** `count` packets come, each as one of {@link RecordWriter.every}. */
function come(count: number, { flow = 1, length = 100, where = whereOf(DIRECTION_IN, 0), ring = 0 }: Sent = {}): void {
  const source = `10.1.${flow >> 8}.${flow & 0xff}`;
  const frame = ethernet(ipv4(udp([], 5000, 7, source), { source, protocol: 17 }));
  const writer = writers[ring]!;
  for (let i = 0; i < count; i++) {
    const tag = where | (writer.every << EVERY_SHIFT);
    writer.see();
    const at = writer.reserve(tag, -1, length, performance.now(), frame.length, 0);
    if (at >= 0) writer.views.u8.set(frame, at);
  }
  writer.publish();
}

/** Lets the window end, `each` in each of its ten looks. */
function window(each: () => void = () => {}): void {
  for (let i = 0; i < 10; i++) {
    each();
    vi.advanceTimersByTime(100);
  }
}

const begun = () => meter.largest(50);

/** Begins, and has one look with nothing: then each packet is wanted, and a window begins. */
async function ready(): Promise<void> {
  await begun();
  expect(writers.map(({ every }) => every)).toEqual([64, 64]);
  vi.advanceTimersByTime(100);
  expect(writers.map(({ every }) => every)).toEqual([1, 1]);
}

const EMPTY = { seconds: 0, sampled: false, others: 0, flows: [] };

describe('the largest flows', () => {
  it('are measured from the first question on, by headers of all packets', async () => {
    expect(opened).toEqual([]);
    expect(await begun()).toEqual(EMPTY);
    expect(opened).toEqual([{ id: 1, filter: '', directions: 3, drops: false, snaplen: 96, port: null }]);
    expect(await begun()).toEqual(EMPTY);
    expect(opened.length).toBe(1);
  });

  it('have rates of packets and bytes, the largest first', async () => {
    await ready();
    window(() => {
      come(2, { flow: 1, length: 100 });
      come(1, { flow: 2, length: 1500, ring: 1 });
      come(3, { flow: 1, length: 60, where: whereOf(DIRECTION_OUT, 1) });
    });
    const { seconds, sampled, others, flows } = await begun();
    expect([seconds, sampled, others]).toEqual([1, false, 0]);
    const flow = { protocol: 'udp', destination: '10.0.0.1:7' };
    expect(flows).toEqual([
      { ...flow, ...{ interface: 'port0', direction: 'in', source: '10.1.0.2:5000' }, ...rate(10, 1500) },
      { ...flow, ...{ interface: 'port0', direction: 'in', source: '10.1.0.1:5000' }, ...rate(20, 100) },
      { ...flow, ...{ interface: 'port1', direction: 'out', source: '10.1.0.1:5000' }, ...rate(30, 60) },
    ]);
    expect((await meter.largest(1)).flows.length).toBe(1);
  });

  it('are those of the last window, and of no earlier one', async () => {
    await ready();
    window(() => come(1, { flow: 1 }));
    window(() => come(1, { flow: 2 }));
    expect((await begun()).flows.map(({ source }) => source)).toEqual(['10.1.0.2:5000']);
    window();
    expect(await begun()).toEqual({ ...EMPTY, seconds: 1 });
  });

  it('are counted per second also when a look comes late', async () => {
    await ready();
    vi.advanceTimersByTime(900);
    come(150);
    const late = performance.now() + 1600;
    const now = vi.spyOn(performance, 'now').mockReturnValue(late);
    vi.advanceTimersByTime(100);
    const { seconds, flows } = await begun();
    expect(seconds).toBeCloseTo(2.5, 6);
    expect(flows[0]!.packetsPerSecond).toBeCloseTo(60, 6);
    now.mockRestore();
  });
});

const rate = (packetsPerSecond: number, length: number) => ({
  packetsPerSecond,
  bytesPerSecond: packetsPerSecond * length,
});

describe('many packets', () => {
  it('are sampled, and count as often as they stand for', async () => {
    await ready();
    come(2000);
    vi.advanceTimersByTime(100);
    expect(writers.map(({ every }) => every)).toEqual([8, 8]);
    // The window begins when the number fits.
    window(() => come(500));
    expect(writers[0]!.every).toBe(8);
    const { sampled, flows } = await begun();
    expect(sampled).toBe(true);
    expect(flows).toMatchObject([rate(10 * 500 * 8, 100)]);
  });

  it('are sampled less again when they become fewer, down to each of them', async () => {
    await ready();
    come(5000);
    const seen = sampledIn(8, () => come(99));
    expect(seen).toEqual([21, 9, 4, 2, 1, 1, 1, 1]);
    // Neither too many nor too few: nothing changes.
    come(4000);
    vi.advanceTimersByTime(100);
    expect(sampledIn(3, () => come(100))).toEqual([16, 16, 16]);
    expect(sampledIn(3, () => come(500))).toEqual([16, 16, 16]);
    expect(sampledIn(2, () => come(501))).toEqual([33, 67]);
  });

  it('stand for at most as many as a record can say', async () => {
    await ready();
    expect(sampledIn(8, () => come(9000)).at(-1)).toBe(65_535);
    expect(sampledIn(18, () => come(0)).at(-1)).toBe(1);
  });

  it('for which the ring has no room are made up for by the others', async () => {
    await ready();
    window();
    come(100_000, { length: 1 });
    vi.advanceTimersByTime(100);
    expect(writers[0]!.every).toBe(400);
    for (let i = 0; i < 9; i++) vi.advanceTimersByTime(100);
    const { sampled, flows } = await begun();
    expect(sampled).toBe(true);
    expect(flows.length).toBe(1);
    expect(flows[0]!.packetsPerSecond).toBeCloseTo(100_000, 3);
    window();
    expect(await begun()).toMatchObject({ sampled: false, flows: [] });
  });

  it('of more flows than can be told apart are counted together', async () => {
    await ready();
    window();
    // As many at a time as are looked at.
    for (let look = 0; look < 5; look++) {
      for (let flow = 0; flow < 2000; flow++) come(1, { flow: 2000 * look + flow });
      vi.advanceTimersByTime(100);
    }
    const { every } = writers[0]!;
    for (let flow = 10_000; flow < 10_002; flow++) come(1, { flow, length: 60 });
    // Those that are known are still told apart.
    come(1, { flow: 0, length: 1e7 });
    for (let i = 0; i < 5; i++) vi.advanceTimersByTime(100);
    const all = await meter.largest(20_000);
    expect(all.flows.length).toBe(10_000);
    expect(all.flows[0]!.source).toBe('10.1.0.0:5000');
    // The last two flows; each of their packets stands for many.
    expect(all.others).toBe(2 * every);
    window();
    expect(await begun()).toMatchObject({ others: 0, flows: [] });
  });
});

/** What is sampled after each of `count` looks. */
function sampledIn(count: number, each: () => void): number[] {
  return Array.from({ length: count }, () => {
    each();
    vi.advanceTimersByTime(100);
    return writers[0]!.every;
  });
}

describe('the measurement', () => {
  it('ends some seconds after the last question, and begins with the next one', async () => {
    await begun();
    vi.advanceTimersByTime(4000);
    await begun();
    vi.advanceTimersByTime(5000);
    expect(closed).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(closed).toEqual([1]);
    expect(vi.getTimerCount()).toBe(0);
    expect(await begun()).toEqual(EMPTY);
    expect(opened.map(({ id }) => id)).toEqual([1, 2]);
    vi.advanceTimersByTime(100);
    window(() => come(1));
    expect((await begun()).flows.length).toBe(1);
  });

  it('begins once for questions that come together', async () => {
    expect(await Promise.all([begun(), begun(), begun()])).toEqual([EMPTY, EMPTY, EMPTY]);
    expect(opened.length).toBe(1);
  });

  it('that does not begin says why, and the next question tries again', async () => {
    refusal = new Error('the main thread does not answer');
    await expect(Promise.all([begun(), begun()])).rejects.toThrow(refusal.message);
    expect([opened.length, closed, vi.getTimerCount()]).toEqual([1, [1], 0]);
    refusal = null;
    expect(await begun()).toEqual(EMPTY);
    expect(opened.length).toBe(2);
  });

  it('ends once when it is told to, also while it begins', async () => {
    const asked = begun();
    await Promise.all([meter.end(), asked]);
    await meter.end();
    expect([opened.length, closed, vi.getTimerCount()]).toEqual([1, [1], 0]);
  });
});
