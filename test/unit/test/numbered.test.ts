/** The tools of the reliability tests detect what they are made for: each fault that a network can have. */
import { describe, expect, it } from 'vitest';
import createNumbered from '../../reliability/numbered.app.js';
import { type Flow, HEAD_BYTES, isNumbered, SERVICE_PORT, writeNumbered } from '../../reliability/numbered.js';
import { Requester } from '../../reliability/requester.js';
import { noTallies } from '../../reliability/tallies.js';
import { ethernet, ipv4, udp } from '../../support/link/frames.js';
import { learnPeer, makeCore } from '../../support/link/test-core.js';
import { until } from '../../support/until.js';

const MOST = 1400;
const PORT = 20_000;
/** From the peer to us. */
const THEIRS: Flow = { from: 2, to: 1, core: 0, flow: 3, epoch: 1 };
/** The bytes in front of the payload of a frame. */
const HEADERS = 14 + 20 + 8;

function payload(flow: Flow, sequence: number): Uint8Array {
  const u8 = new Uint8Array(MOST);
  return u8.slice(0, writeNumbered(u8, 0, flow, sequence, MOST));
}

describe('a numbered packet', () => {
  it('has its own size, from the head alone to the largest', () => {
    const sizes = Array.from({ length: 500 }, (_, i) => payload(THEIRS, i).length);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(HEAD_BYTES);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MOST);
    expect(new Set(sizes).size).toBeGreaterThan(100);
  });

  it('is not whole with any one byte changed, or with a byte less', () => {
    const bytes = payload(THEIRS, 5);
    expect(isNumbered(bytes, 0, bytes.length)).toBe(true);
    expect(isNumbered(bytes, 0, bytes.length - 1)).toBe(false);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i]! ^= 0x40;
      expect(isNumbered(bytes, 0, bytes.length), `byte ${i}`).toBe(false);
      bytes[i]! ^= 0x40;
    }
  });
});

describe('the responder', () => {
  function endpoint() {
    const test = makeCore();
    learnPeer(test);
    const stack = createNumbered(test.core, { self: 1 });
    if (!('poll' in stack)) throw new Error('not a polled stack');
    return {
      ...test,
      /** Receives requests; returns what the endpoint has counted. */
      hear(...bytes: Uint8Array[]): Record<string, number> {
        for (const one of bytes) {
          test.device.inject(ethernet(ipv4(udp([...one], PORT, SERVICE_PORT), { protocol: 17 })));
        }
        stack.poll();
        test.core.flush();
        const counted = Object.entries(stack.report?.() ?? {}).filter(([, count]) => count > 0);
        return Object.fromEntries(counted);
      },
    };
  }

  it('sends a sound request back as it came', () => {
    const { hear, device } = endpoint();
    const bytes = payload(THEIRS, 0);
    expect(hear(bytes, payload(THEIRS, 1))).toEqual({ served: 2 });
    expect([...device.frames[0]!.subarray(HEADERS)]).toEqual([...bytes]);
  });

  it.each([
    ['twice', [payload(THEIRS, 1), payload(THEIRS, 1)], { served: 1, duplicate: 1 }],
    ['after a later one', [payload(THEIRS, 2), payload(THEIRS, 1)], { served: 2, disorder: 1 }],
    ['for another endpoint', [payload({ ...THEIRS, to: 3 }, 1)], { misplaced: 1 }],
    ['damaged', [payload(THEIRS, 1).map((byte, i) => (i === HEAD_BYTES - 5 ? byte + 1 : byte))], { corrupt: 1 }],
    ['of an earlier life', [payload({ ...THEIRS, epoch: 2 }, 0), payload(THEIRS, 9)], { served: 1, stale: 1 }],
    ['of a new life, with the same numbers', [payload(THEIRS, 0), payload({ ...THEIRS, epoch: 2 }, 0)], { served: 2 }],
  ])('counts a request that comes %s', (_, requests, expected) => {
    expect(endpoint().hear(...requests)).toEqual(expected);
  });

  it('counts what is no request', () => {
    const { device, hear } = endpoint();
    device.inject(ethernet(ipv4(udp([1, 2, 3], 5, 5), { protocol: 17 })));
    expect(hear()).toEqual({ other: 1 });
  });
});

describe('the requester', () => {
  /** An endpoint that has had its first answer and sends with its whole window. */
  function asking(window: number) {
    const test = makeCore();
    learnPeer(test);
    const tallies = noTallies();
    const requester = new Requester(test.core, tallies, { self: 1, peers: [2], epoch: 1, flows: 1, window });
    const send = (): Uint8Array[] => {
      test.device.frames.length = 0;
      while (requester.poll() > 0) {}
      test.core.flush();
      return test.device.frames.map((frame) => frame.slice(HEADERS));
    };
    const hear = (answer: Uint8Array): void => requester.take(answer, 0);
    requester.isRunning = true;
    hear(send()[0]!);
    return { requester, tallies, send, hear };
  }

  it('takes each answer once, and keeps its window full', () => {
    const { tallies, send, hear, requester } = asking(4);
    const requests = send();
    expect(requests).toHaveLength(4);
    for (const request of requests) hear(request);
    expect(tallies).toMatchObject({ sent: 5, answered: 5, missing: 0, duplicate: 0, disorder: 0 });
    expect(requester.report()).toEqual({ 2: { sent: 5, answered: 5, missing: 0, waiting: 0 } });
  });

  it('counts an answer that is doubled, late, of another life, or to no request', () => {
    const { tallies, send, hear } = asking(4);
    const [first, second] = send() as [Uint8Array, Uint8Array];
    hear(second);
    hear(first);
    expect(tallies).toMatchObject({ answered: 3, disorder: 1, duplicate: 0 });
    hear(second);
    expect(tallies).toMatchObject({ answered: 3, duplicate: 1 });
    hear(payload({ from: 1, to: 2, core: 0, flow: 0, epoch: 0 }, 1));
    hear(payload({ from: 1, to: 2, core: 0, flow: 0, epoch: 1 }, 99));
    hear(payload({ from: 1, to: 3, core: 0, flow: 0, epoch: 1 }, 1));
    expect(tallies).toMatchObject({ answered: 3, stale: 1, corrupt: 1, misplaced: 1 });
  });

  it('gives up after silence, and takes back what it gave up when it comes late', async () => {
    const { tallies, send, hear, requester } = asking(4);
    const requests = send();
    let further: Uint8Array[] = [];
    const look = (): void => {
      further = send();
    };
    await until('another request', () => further.length > 0, look);
    expect(further).toHaveLength(1);
    expect(tallies).toMatchObject({ sent: 6, answered: 1, missing: 4 });
    hear(requests[0]!);
    expect(tallies).toMatchObject({ answered: 2, missing: 3, late: 1 });
    expect(send()).toHaveLength(3);
    hear(further[0]!);
    expect(requester.report()).toEqual({ 2: { sent: 9, answered: 3, missing: 3, waiting: 3 } });
  });
});
