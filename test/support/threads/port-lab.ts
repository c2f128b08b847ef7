/**
 * Ports with real threads, from the build, over our own vhost-user backend in this process. The peer sends UDP
 * datagrams and receives the echoes; the stack fails when and how it is told to.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Reactor } from '../../../drivers/libc/index.js';
import { MemoryWindow, WindowAllocator } from '../../../drivers/memory/index.js';
import { VhostUserBackend } from '../../../drivers/transports/vhost-user/backend.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import type { Port, TspmdConfig } from '../../../src/index.js';
import { IndirectionTable } from '../../../src/rss/indirection-table.js';
import { Rss } from '../../../src/rss/rss.js';
import { parseIpv4 } from '../../../src/wire/address.js';
import { arp, flowPacket, OUR_IP, OUR_MAC, PEER_IP } from '../link/frames.js';
import { openFds, temporaryDirectory } from '../resources.js';
import { until } from '../until.js';

const built = (path: string): string => new URL(`../../../dist/${path}`, import.meta.url).href;
/** The package as it was built: only the build has the files of its threads. */
const { init } = (await import(built('src/index.js'))) as typeof import('../../../src/index.js');

const FLOWS = 64;
/** Source port of the first flow. */
const FIRST_PORT = 0x4000;
const ORDER = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);

/** How a stack fails. */
export type Fault =
  | 'none'
  | 'create'
  | 'import'
  | 'poll'
  | 'leftovers'
  | 'timer'
  | 'rejection'
  | 'exit'
  | 'hang'
  | 'stop'
  | 'promise'
  /** Stacks that drive themselves, and fail or never return: faults outside of a poll. */
  | 'run'
  | 'endless';

/** Echoes, and fails as `options.fault` says on the cores whose flag is set. */
const STACK = `
import { isMainThread } from 'node:worker_threads';
import createEcho from '${built('src/apps/echo.js')}';
const FAULT = '%FAULT%';
if (FAULT === 'import' && !isMainThread) throw new Error('no licence on this thread');
const boom = () => { throw new Error('out of sockets'); };
export default function (core, { flags }) {
  const flag = new Int32Array(flags);
  // 1: fail; 2: it does.
  const isDue = () => Atomics.load(flag, core.index) !== 0 && Atomics.store(flag, core.index, 2) === 2;
  if (FAULT === 'create' && core.index === 1) throw new Error('cannot start');
  const later = { timer: boom, rejection: () => Promise.reject(new Error('out of sockets')), exit: () => process.exit(3) };
  if (later[FAULT]) setInterval(() => { if (isDue()) later[FAULT](); }, 1);
  if (FAULT === 'leftovers') setInterval(() => {}, 1);
  const echo = createEcho(core);
  if (FAULT === 'run' || FAULT === 'endless') {
    return {
      async run(signal) {
        while (!signal.aborted) {
          await core.waitForPackets();
          if (isDue() && FAULT === 'run') boom();
          echo.poll();
        }
        if (isDue()) await new Promise(() => {});
      },
      report: () => echo.report(),
    };
  }
  return {
    poll() {
      if (isDue()) {
        if (FAULT === 'poll' || FAULT === 'leftovers') boom();
        if (FAULT === 'promise') return Promise.resolve(1);
        while (FAULT === 'hang');
      }
      return echo.poll();
    },
    maxSleepMs: () => 5,
    report: () => echo.report(),
    stop() { if (FAULT === 'stop' && core.index === 1) throw new Error('cannot stop'); },
  };
}
`;

export class PortLab {
  readonly directory = temporaryDirectory();
  readonly warnings: string[] = [];
  readonly flags = new Int32Array(new SharedArrayBuffer(64));
  /** What came back: the number of datagrams of each flow. */
  readonly echoes = new Int32Array(FLOWS);
  /** The number of datagrams that were sent of each flow. */
  readonly requests = new Int32Array(FLOWS);
  sent = 0;
  readonly failures: string[] = [];
  readonly links: string[] = [];
  private readonly reactor = new Reactor();
  private readonly window = MemoryWindow.reserve(4096);
  private readonly outgoing = new PacketBurst(this.window);
  private readonly incoming = new PacketBurst(this.window);
  private backend: VhostUserBackend | null = null;
  private port: Port | null = null;

  get socket(): string {
    return `${this.directory.path}/s`;
  }

  listen(): void {
    this.backend = new VhostUserBackend({ path: this.socket, reactor: this.reactor, windows: new WindowAllocator() });
  }

  hangUp(): void {
    this.backend?.close();
    this.backend = null;
  }

  /** The file of a stack with a fault. */
  stack(fault: Fault): string {
    const file = `${this.directory.path}/${fault}.mjs`;
    writeFileSync(file, STACK.replace('%FAULT%', fault));
    return file;
  }

  async open(config: Partial<TspmdConfig>): Promise<Port> {
    const port = await init(
      {
        ...{ device: `vhost-user:${this.socket}`, ip: `${OUR_IP}/24`, mac: '52:54:00:00:00:01', hugepages: 'never' },
        ...{ mode: '1kb', app: 'echo', cores: [90, 91, 92, 93] },
        ...(config.app === undefined ? {} : { appOptions: { flags: this.flags.buffer } }),
        ...config,
      },
      { warn: (line) => this.warnings.push(line) },
    );
    this.port = port;
    port.on('coreFailure', (core, error) => this.failures.push(`${core}: ${error.message}`));
    port.on('link', (state) => this.links.push(state));
    return port;
  }

  /** Takes what the port has sent; counts the echoes. */
  readonly receive = (): void => {
    const pair = this.backend?.pairs[0];
    if (pair === undefined) return;
    for (let count = pair.take(this.incoming, MAX_BURST); count > 0; count = pair.take(this.incoming, MAX_BURST)) {
      const { memory, segmentOffset, firstSegment } = this.incoming;
      for (let i = 0; i < count; i++) {
        const frame = segmentOffset[firstSegment[i]!]!;
        // A UDP datagram from port 7: its destination port is the flow.
        if (memory.u8[frame + 12] !== 8 || memory.u8[frame + 13] !== 0) continue;
        this.echoes[memory.u8[frame + 37]! & (FLOWS - 1)]!++;
      }
      pair.complete();
    }
    pair.complete();
  };

  private send(frame: Uint8Array): void {
    const pair = this.backend?.pairs[0];
    if (pair === undefined) throw new Error('nobody listens');
    const { u8, start } = this.window;
    u8.set(frame, start);
    this.outgoing.clear();
    this.outgoing.push(start, frame.length);
    pair.put(this.outgoing, ORDER, 1);
  }

  /** A step of waiting: receives, and sends now and then what may have been lost, at first at once. */
  private repeating(send: () => void): () => void {
    let turns = 0;
    return () => {
      if (turns++ % 1000 === 0) send();
      this.receive();
    };
  }

  /**
   * Makes the peer known to the port. Asks again, as a port that has just begun to run may have no buffers posted yet.
   */
  async introduce(): Promise<void> {
    const learned = (): number => this.port?.counters().arp_learned ?? 0;
    const ask = (): void => this.send(arp({ targetIp: OUR_IP, destination: OUR_MAC }));
    await until('the peer is known', () => learned() > 0, this.repeating(ask));
  }

  /** Sends one datagram per flow, and waits until each is answered. Datagrams to a core that fails are repeated. */
  async everyFlowAnswers(): Promise<void> {
    const before = this.echoes.slice();
    const missing = (): number[] => [...before.keys()].filter((flow) => this.echoes[flow] === before[flow]);
    const sendMissing = (): void => {
      for (const flow of missing()) this.sendTo(flow);
    };
    await until('every flow is answered', () => missing().length === 0, this.repeating(sendMissing));
  }

  /** The flows of a core out of `cores`. */
  flowsOf(core: number, cores: number): number[] {
    const rss = new Rss(this.window, {}, IndirectionTable.create(cores));
    const tuple = { protocol: 17, source: parseIpv4(PEER_IP), destination: parseIpv4(OUR_IP), destinationPort: 7 };
    return [...this.requests.keys()].filter(
      (flow) => rss.coreForFlow({ ...tuple, sourcePort: FIRST_PORT + flow }) === core,
    );
  }

  sendTo(flow: number): void {
    this.requests[flow]!++;
    this.send(flowPacket(FIRST_PORT + flow, ++this.sent));
  }

  /** Makes the stack of a core fail now. A core that sleeps until packets come needs `packets`. */
  async fault(core: number, packets = false): Promise<void> {
    Atomics.store(this.flags, core, 1);
    const sendAll = (): void => {
      for (let flow = 0; flow < FLOWS; flow++) this.sendTo(flow);
    };
    const step = packets ? this.repeating(sendAll) : this.receive;
    await until('the stack fails', () => Atomics.load(this.flags, core) === 2, step);
  }

  async close(): Promise<void> {
    await this.port?.stop();
    this.hangUp();
    this.reactor.close();
    this.directory.remove();
  }
}

/** What a port takes of its process: threads, descriptors, mappings of packet memory. */
export function resources(): { threads: number; fds: number; mappings: number } {
  return {
    threads: readdirSync('/proc/self/task').length,
    fds: openFds(),
    mappings: readFileSync('/proc/self/maps', 'utf8').split('memfd:tspmd').length - 1,
  };
}

/** Waits until no more is taken than that. */
export async function untilFreed(before: ReturnType<typeof resources>): Promise<void> {
  let now = before;
  const isFreed = (): boolean => {
    now = resources();
    return now.threads <= before.threads && now.fds <= before.fds && now.mappings <= before.mappings;
  };
  await until(`no more than ${JSON.stringify(before)} is taken`, isFreed).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(now)}`);
  });
}
