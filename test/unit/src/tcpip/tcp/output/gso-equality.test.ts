/**
 * A sender with TSO puts the same segments onto the wire, at the same times, as one without, which sends them in runs, and
 * as one whose device only sums, which sends them one by one.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../../../drivers/offloads.js';
import { TcpIp } from '../../../../../../src/tcpip/index.js';
import type { TcpOptions } from '../../../../../../src/tcpip/tcp/settings.js';
import type { Connection } from '../../../../../../src/tcpip/tcp/state/api.js';
import type { PathOptions } from '../../../../../support/tcpip/sim/path.js';
import { expectQuiet } from '../../../../../support/tcpip/sim/quiet.js';
import { Simulation } from '../../../../../support/tcpip/sim/simulation.js';

const TSO = OFFLOAD_CHAIN | OFFLOAD_CSUM | OFFLOAD_TSO4;
const BYTES = 1_000_000;
const DATA = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

interface Run {
  /** Each frame of the sender: when, and a hash of its packet. */
  readonly frames: string[];
  readonly report: Record<string, number>;
  readonly right: number;
}

/** A packet as text, without the identification in the IP header, which a device counts up, and the header's checksum. */
function textOf(packet: Uint8Array): string {
  packet.fill(0, 4, 6);
  packet.fill(0, 10, 12);
  return createHash('sha1').update(packet).digest('base64');
}

async function run(offloads: number, path: PathOptions, options: TcpOptions): Promise<Run> {
  const sim = new Simulation({ seed: 1 });
  const sender = await sim.host({ offloads, buffers: 4096 });
  const receiver = await sim.host({ buffers: 4096, rxRing: 2048 });
  const link = sim.link(sender, receiver, path, { delayMs: path.delayMs! });
  const frames: string[] = [];
  sim.watch = (on, frame, length) => {
    if (on === link.there) frames.push(`${sim.now.toFixed(4)} ${textOf(frame.slice(14, length))}`);
  };
  const [from, to] = [new TcpIp(sender.core, { seed: 1 }), new TcpIp(receiver.core, { seed: 2 })];
  sender.stack = from;
  receiver.stack = to;
  let got = 0;
  let right = 0;
  let isOver = false;
  to.tcp.listen(
    { port: 5, ecn: true },
    {
      data: (_, bytes, offset, length) => {
        for (let i = 0; i < length; i++) if (bytes[offset + i] === DATA[(got + i) % DATA.length]) right++;
        got += length;
      },
      end: (c) => c.end(),
      close: () => {
        isOver = true;
      },
    },
  );
  let written = 0;
  const fill = (c: Connection): void => {
    while (written < BYTES) {
      const at = written % DATA.length;
      const length = Math.min(DATA.length - at, BYTES - written);
      const taken = c.write(DATA, at, length);
      written += taken;
      if (taken < length) return;
    }
    c.end();
  };
  sim.at(0, () => from.tcp.connect({ address: receiver.address, port: 5, ...options }, { open: fill, drain: fill }));
  expect(sim.runUntil(() => isOver, 600_000)).toBe(true);
  const report = from.report();
  expectQuiet(sim);
  await sim.stop();
  return { frames, report, right };
}

const some = (...numbers: number[]) => ({
  lose: (_: Uint8Array, __: number, number: number) => numbers.includes(number),
});

describe('with offloads the wire sees the same segments', () => {
  it.each<[string, PathOptions, TcpOptions]>([
    ['without loss', { delayMs: 2, bitsPerSecond: 1e9 }, {}],
    ['with single losses', { delayMs: 2, bitsPerSecond: 1e9, ...some(50, 333, 334, 600) }, {}],
    ['with a lost tail', { delayMs: 2, bitsPerSecond: 1e9, ...some(690, 691, 692, 693) }, {}],
    ['with a queue that overflows', { delayMs: 5, bitsPerSecond: 1e8, queueBytes: 50_000 }, {}],
    ['with a smaller path MTU', { delayMs: 2, bitsPerSecond: 1e9, mtu: 1000 }, {}],
    ['with marks of congestion', { delayMs: 5, bitsPerSecond: 1e8, markFrom: 20_000 }, { ecn: true }],
    ['with Reno', { delayMs: 5, bitsPerSecond: 1e8, queueBytes: 50_000 }, { congestion: 'reno' }],
    ['with a small send buffer', { delayMs: 1, bitsPerSecond: 1e9 }, { sendBuffer: 20_000 }],
  ])('%s', { timeout: 60_000 }, async (_, path, options) => {
    const single = await run(0, path, options);
    expect(single.right).toBe(BYTES);
    for (const offloads of [TSO, TSO | OFFLOAD_ECN, OFFLOAD_CSUM]) {
      const cut = await run(offloads, path, options);
      expect(cut.right).toBe(BYTES);
      if ((offloads & OFFLOAD_TSO4) !== 0) expect(cut.report.tcp_gso_out).toBeGreaterThan(20);
      const differing = cut.frames.findIndex((frame, i) => frame !== single.frames[i]);
      expect(differing, `frame ${differing}`).toBe(-1);
      expect(cut.frames.length).toBe(single.frames.length);
      expect({ ...cut.report, tcp_gso_out: 0, ip_tx: 0 }).toEqual({ ...single.report, ip_tx: 0 });
    }
  });
});
