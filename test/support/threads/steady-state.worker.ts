/**
 * A process that echoes packets as fast as it can and watches its own heap: driver, layer and echo stack on one end of
 * a vhost-user socket, the backend that sends and receives on the other, all in this thread. Run it with --expose-gc.
 *
 * Arguments: the number of packets; and `plain`, or packets in several buffers with partial checksums and segments, for
 * a device that does these (`chains`) or does not (`software`). Prints one line of JSON, a {@link SteadyState}.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { Reactor } from '../../../drivers/libc/index.js';
import { MemoryWindow, WindowAllocator } from '../../../drivers/memory/index.js';
import { PORT_OFFLOADS } from '../../../drivers/offloads.js';
import { VhostUserBackend } from '../../../drivers/transports/vhost-user/backend.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../rings/packet-table.js';
import createEcho from '../../../src/apps/echo.js';
import { type Core, init } from '../../../src/index.js';
import type { Stack } from '../../../src/stack.js';
import { ethernet, ipv4, udp } from '../link/frames.js';
import { tcpPacket } from '../link/tcp-packets.js';
import { reflectChains } from './reflect-chains.js';

export interface SteadyState {
  /** Packets that made the whole round: into the guest's ring, through the echo, and out again. */
  echoed: number;
  /**
   * Scavenges meanwhile: a loop that allocates must cause them. Mark-compacts are not counted: V8's memory reducer
   * makes them by the clock, and makes more of them the longer nothing is allocated.
   */
  scavenges: number;
  /** Bytes of heap in use after a full collection, before and after. */
  heapBefore: number;
  heapAfter: number;
}

/** Rounds between two turns of the event loop. */
const ROUNDS = 4096;
const WARM_UP = 500_000;

const collect = (globalThis as { gc?: () => void }).gc;
if (!collect) throw new Error('run with --expose-gc');
const wanted = Number(process.argv[2]);
const traffic = process.argv[3] ?? 'plain';
const isPlain = traffic === 'plain';
/** Of a burst, one packet in so many is a large one. */
const LARGE_EVERY = 8;

/**
 * The generator and sink behind the backend: a burst of the same packets goes in, and what was sent back comes out. With
 * offloads some packets stand for three segments, and lie in two of the driver's buffers.
 */
class Generator {
  private readonly out: PacketBurst;
  private readonly back: PacketBurst;
  private readonly all = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);

  constructor(private readonly backend: VhostUserBackend) {
    const frame = ethernet(ipv4(udp([1, 2, 3, 4], 40000, 7), { protocol: 17 }));
    const large = ethernet(tcpPacket(new Uint8Array(4000), { isReceived: true, checksum: 'partial' }).bytes);
    const memory = MemoryWindow.reserve(8192);
    memory.u8.set(frame);
    memory.u8.set(large, LARGE_AT);
    this.out = new PacketBurst(memory);
    this.back = new PacketBurst(memory);
    for (let i = 0; i < MAX_BURST; i++) {
      if (isPlain || i % LARGE_EVERY !== 0) this.out.push(0, frame.length);
      else this.pushLarge(large.length);
    }
  }

  private pushLarge(bytes: number): void {
    const { out } = this;
    const i = out.count;
    out.push(LARGE_AT, bytes);
    out.offloaded++;
    out.flags[i] = CHECKSUM_PARTIAL | GSO_TCP4;
    out.gsoSize[i] = 1448;
    out.csumStart[i] = 34;
    out.csumOffset[i] = 16;
  }

  get isReady(): boolean {
    return this.backend.rxQueue(0) !== null && this.backend.txQueue(0) !== null;
  }

  send(): void {
    this.backend.pairs[0]?.put(this.out, this.all, MAX_BURST);
  }

  /** Returns how many packets came back. */
  take(): number {
    const pair = this.backend.pairs[0];
    if (pair === undefined) return 0;
    const count = pair.take(this.back, MAX_BURST);
    pair.complete();
    return count;
  }
}

/** Where the large packet lies in the memory of the generator. */
const LARGE_AT = 512;

/** The kind of collection of a performance entry of type `gc`; Node's types lack its detail. */
function kindOf(entry: object): number | undefined {
  return (entry as { detail?: { kind?: number } }).detail?.kind;
}

/** Echoes until at least `count` packets came back. */
async function echo(stack: Stack, core: Core, generator: Generator, count: number): Promise<number> {
  let echoed = 0;
  while (echoed < count) {
    for (let round = 0; round < ROUNDS; round++) {
      generator.send();
      stack.poll();
      core.flush();
      echoed += generator.take();
    }
    await turn();
  }
  return echoed;
}

async function measure(core: Core, generator: Generator): Promise<SteadyState> {
  const stack = isPlain ? createEcho(core) : reflectChains(core);
  while (!generator.isReady) await turn();
  await echo(stack, core, generator, WARM_UP);

  let scavenges = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (kindOf(entry) === constants.NODE_PERFORMANCE_GC_MINOR) scavenges++;
  });
  collect?.();
  const heapBefore = process.memoryUsage().heapUsed;
  observer.observe({ entryTypes: ['gc'] });
  const echoed = await echo(stack, core, generator, wanted);
  // The entries of the last turn are delivered in their own turn.
  await turn();
  observer.disconnect();
  if (traffic === 'chains' && stack.report?.().chains === 0) throw new Error('no packet lay in several buffers');
  collect?.();
  return { echoed, scavenges, heapBefore, heapAfter: process.memoryUsage().heapUsed };
}

const directory = mkdtempSync(join(tmpdir(), 'tspmd-steady-'));
const path = join(directory, 'vm.sock');
const reactor = new Reactor();
const backend = new VhostUserBackend({
  ...{ path, reactor, windows: new WindowAllocator() },
  offloads: traffic === 'software' ? 0 : PORT_OFFLOADS,
});
const port = await init({
  device: `vhost-user:${path}`,
  ip: '10.0.0.1/24',
  mac: '52:54:00:00:00:01',
  ...(isPlain ? {} : { layer: 'ethernet', offloads: 'auto' }),
  neighbours: { '10.0.0.2': '52:54:00:00:00:02' },
});
try {
  const state = await measure(port.core(0), new Generator(backend));
  process.stdout.write(`${JSON.stringify(state)}\n`);
} finally {
  await port.stop();
  backend.close();
  reactor.close();
  rmSync(directory, { recursive: true, force: true });
}
