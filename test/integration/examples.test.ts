/**
 * The examples, built as the README says and run as their comments say, in each thread layout over the embedded switch.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Core, init, type Layer, type PacketBuffer, type Port, parseIpv4 } from '../../src/index.js';
import { ETH_HEADER_BYTES } from '../../src/wire/ethernet.js';
import { IP_PROTOCOL_UDP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../src/wire/ipv4.js';
import {
  isUdpIntact,
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpSourcePort,
  writeUdpHeader,
} from '../../src/wire/udp.js';
import { FlowNetwork, totalsOf } from '../support/flows/flow-network.js';
import { ALL_MODES, MODES, stackCores } from '../support/threads/modes.js';

const LIMIT = { timeout: 60_000 };
/** For what comes without a request, on a busy machine. */
const PATIENCE_MS = 15_000;
const example = (name: string): string => fileURLToPath(new URL(`../../dist/examples/${name}.js`, import.meta.url));
const OUR_IP = parseIpv4('10.0.0.1');
const THEIR_IP = parseIpv4('10.0.0.2');
const OUR_MAC = [0x52, 0x54, 0, 0, 0, 1];
const THEIR_MAC = [0x52, 0x54, 0, 0, 0, 2];
const ETHERTYPE_IPV4 = [8, 0];
/** Flows of a test. The ports are always the same, so that each core of a layout always has the same ports. */
const FLOWS = 16;
const FIRST_PORT = 40_000;
const HEADERS = IPV4_HEADER_BYTES + UDP_HEADER_BYTES;

interface Datagram {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Fills `buffer` from `ip` on, the first byte of its IP header. */
function write({ memory }: Core, ip: number, datagram: Datagram): void {
  const { source, destination, sourcePort, destinationPort, payload } = datagram;
  memory.u8.set(payload, ip + HEADERS);
  writeIpv4Header(memory, ip, HEADERS + payload.length, IP_PROTOCOL_UDP, source, destination);
  const udp = ip + IPV4_HEADER_BYTES;
  writeUdpHeader(memory, ip, udp, UDP_HEADER_BYTES + payload.length, sourcePort, destinationPort);
}

function bufferOf(core: Core): PacketBuffer {
  const buffer = core.getBufferTx();
  if (buffer === null) throw new Error('no buffer is free');
  return buffer;
}

/** A base port with `count` free ports from it on. */
async function freePorts(count: number): Promise<number> {
  const listen = async (port: number): Promise<Server> => {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  for (let tries = 0; tries < 20; tries++) {
    const servers = [await listen(0)];
    const address = servers[0]?.address();
    const base = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      while (servers.length < count) servers.push(await listen(base + servers.length));
      return base;
    } catch {
      // Another process has the port after it: try another base.
    } finally {
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    }
  }
  throw new Error(`found no ${count} free ports in a row`);
}

describe.each(ALL_MODES)('in mode %s the example', (mode) => {
  let network: FlowNetwork;
  let port: Port | undefined;

  beforeEach(async () => {
    network = await FlowNetwork.open();
  });

  afterEach(async () => {
    await port?.stop();
    port = undefined;
    await network.close();
  });

  /** The other endpoint, in this process. */
  async function open(layer: Layer): Promise<Core> {
    const device = `vhost-user:${network.socket(1)}`;
    port = await init({ device, ip: '10.0.0.1/24', mac: '52:54:00:00:00:01', hugepages: 'never', layer });
    return port.core(0);
  }

  it('udp-echo answers what comes to its port, and nothing else', LIMIT, async () => {
    const echoPort = 777;
    const echo = await network.startEndpoint(
      2,
      example('udp-echo'),
      '--app-option',
      `port=${echoPort}`,
      ...MODES[mode],
    );
    const core = await open('ip');
    const waitedFor = new Map<number, Uint8Array>();
    const send = (sourcePort: number, destinationPort: number, payload: Uint8Array): void => {
      const buffer = bufferOf(core);
      write(core, buffer.offset, { source: OUR_IP, destination: THEIR_IP, sourcePort, destinationPort, payload });
      buffer.length = HEADERS + payload.length;
      expect(core.addBufferToRing(buffer)).toBe(true);
    };
    const check = ({ offset: ip, length, bytes }: PacketBuffer): void => {
      const { memory } = core;
      const udp = ip + IPV4_HEADER_BYTES;
      expect(isUdpIntact(memory, ip, udp, length - IPV4_HEADER_BYTES)).toBe(true);
      expect(udpSourcePort(memory.u8, udp)).toBe(echoPort);
      const flow = udpDestinationPort(memory.u8, udp);
      expect(Buffer.from(bytes.slice(HEADERS, length))).toEqual(Buffer.from(waitedFor.get(flow) ?? 'nothing'));
      waitedFor.delete(flow);
    };
    const answers = async (): Promise<void> => {
      const deadline = Date.now() + PATIENCE_MS;
      while (waitedFor.size > 0) {
        if (Date.now() > deadline) throw new Error(`${waitedFor.size} without an answer:\n${echo.output}`);
        const count = await core.waitForPackets({ timeoutMs: 100 });
        for (let i = 0; i < count; i++) {
          const packet = core.getBufferRx();
          if (packet === null) break;
          check(packet);
          core.release(packet);
        }
      }
    };
    const ask = (flow: number, number: number): void => {
      const payload = Uint8Array.from({ length: (number * 37) % 1473 }, (_, at) => number * 131 + at * 7);
      waitedFor.set(FIRST_PORT + flow, payload);
      send(FIRST_PORT + flow, echoPort, payload);
    };
    // One datagram alone: of many, only a few would wait for ARP.
    ask(0, 0);
    await answers();
    // These come before the others: each core has handled them when it has answered the others.
    for (let flow = 0; flow < FLOWS; flow++) send(FIRST_PORT + flow, echoPort + 1, new Uint8Array(10));
    const turns = 20;
    for (let turn = 0; turn < turns; turn++) {
      for (let flow = 0; flow < FLOWS; flow++) ask(flow, 1 + turn * FLOWS + flow);
      await answers();
    }
    const { all, cores } = await totalsOf(echo);
    expect(all).toEqual({ echoes: 1 + turns * FLOWS, others: FLOWS });
    expect(cores).toHaveLength(stackCores(mode));
    for (const { echoes } of cores) expect(echoes).toBeGreaterThanOrEqual(turns);
  });

  it('flow-counter shows each flow, both directions as one, with the right counts', LIMIT, async () => {
    const counter = await network.startEndpoint(2, example('flow-counter'), '--app-option', 'top=99', ...MODES[mode]);
    const core = await open('ethernet');
    const expected = new Map<string, string>();
    for (let flow = 0; flow < FLOWS; flow++) {
      const payload = new Uint8Array(50 + flow);
      const there = {
        source: OUR_IP,
        sourcePort: FIRST_PORT + flow,
        destination: THEIR_IP,
        destinationPort: 7,
        payload,
      };
      const back = {
        source: THEIR_IP,
        sourcePort: 7,
        destination: OUR_IP,
        destinationPort: FIRST_PORT + flow,
        payload,
      };
      const packets = 2 + flow;
      for (let i = 0; i < packets; i++) {
        const buffer = bufferOf(core);
        buffer.bytes.set([...THEIR_MAC, ...OUR_MAC, ...ETHERTYPE_IPV4]);
        write(core, buffer.offset + ETH_HEADER_BYTES, i % 2 === 0 ? there : back);
        buffer.length = ETH_HEADER_BYTES + HEADERS + payload.length;
        const name = (buffer.rssHash >>> 0).toString(16).padStart(8, '0');
        expected.set(name, `${packets} packets, ${packets * buffer.length} bytes`);
        expect(core.addBufferToRing(buffer)).toBe(true);
      }
      core.flush();
    }
    expect(expected.size).toBe(FLOWS);

    /** By flow: what was shown last, and by how many cores. */
    const shown = (): { flows: Map<string, string>; places: Set<string> } => {
      const lines = [...counter.stdout.matchAll(/^core (\d+) flow ([0-9a-f]{8}): (\d+ packets, \d+ bytes)$/gm)];
      return {
        flows: new Map(lines.map(([, , name = '', counts = '']) => [name, counts])),
        places: new Set(lines.map(([, index, name]) => `${index} ${name}`)),
      };
    };
    // The timer shows them, both between polls and while the core sleeps.
    await vi.waitFor(() => expect(shown().flows, counter.output).toEqual(expected), { timeout: PATIENCE_MS });
    const { all, cores } = await totalsOf(counter);
    expect(all).toEqual({ flows: FLOWS, uncounted: 0 });
    expect(cores).toHaveLength(stackCores(mode));
    for (const { flows } of cores) expect(flows).toBeGreaterThan(0);
    expect(shown().flows).toEqual(expected);
    expect(shown().places.size).toBe(FLOWS);
  });

  it('event-loop sends from a port of its own core, and reports by HTTP', LIMIT, async () => {
    const count = stackCores(mode);
    const base = await freePorts(count);
    const echo = await network.startEndpoint(2, 'echo');
    const options = ['--app-option', 'to=10.0.0.2', `http=${base}`];
    const beacon = await network.startEndpoint(1, example('event-loop'), ...options, ...MODES[mode]);
    const url = (core: number): string => `http://127.0.0.1:${base + core}/`;
    const told: Record<string, number>[] = [];
    // Without this, answers that go to another core would be missing.
    await vi.waitFor(
      async () => {
        for (let core = 0; core < count; core++) {
          const response = await fetch(url(core), { signal: AbortSignal.timeout(PATIENCE_MS) });
          const counts = (await response.json()) as Record<string, number>;
          expect(counts, beacon.output).toEqual({ sent: expect.any(Number), received: expect.any(Number) });
          expect(counts.received).toBeGreaterThanOrEqual(2);
          told[core] = counts;
        }
      },
      { timeout: PATIENCE_MS, interval: 200 },
    );
    // The connections of fetch are still open: they must not delay the end.
    const { all, cores } = await totalsOf(beacon);
    expect(cores).toHaveLength(count);
    for (const [core, { sent = 0, received = 0 }] of cores.entries()) {
      expect(received).toBeGreaterThanOrEqual(told[core]?.received ?? Number.POSITIVE_INFINITY);
      expect(received).toBeLessThanOrEqual(sent);
    }
    for (let core = 0; core < count; core++) await expect(fetch(url(core))).rejects.toThrow();
    const { all: echoed } = await totalsOf(echo);
    expect(echoed).toMatchObject({ icmp_echoes: 0, echo_bad_checksum: 0, echo_ring_full: 0 });
    expect(echoed.udp_echoes).toBeGreaterThanOrEqual(all.received ?? Number.POSITIVE_INFINITY);
    expect(echoed.udp_echoes).toBeLessThanOrEqual(all.sent ?? 0);
  });
});
