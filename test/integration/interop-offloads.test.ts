/**
 * The pairs of the interoperation table with offloads: packets of 0 to 64 KB with whole and partial checksums, in one
 * buffer and in many, and GSO packets, from our driver to each backend and back, and through our switch to DPDK's driver
 * and back. Every byte is checked.
 */
import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Ovs } from '../../scripts/ovs.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { meanFramesFromNow } from '../support/offloads/mean-frames.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { command, describeWith, ovs, type Requirement, root, testpmd, tun } from '../support/requirements.js';
import { StreamNetwork } from '../support/streams/stream-network.js';
import { MAX_PAYLOAD } from '../support/streams/stream-packet.js';

const LIMIT = { timeout: 60_000 };
const BYTES = 8_000_000;
const MAC = '52:54:00:00:00:01';
/** Packets under way. */
const FLOWS = 6;
/** Payload of the longest packets to a peer without GSO packets: their segments, up to 40 each, must fit its ring of 256. */
const FITTING = 20_000;
/** OVS drops frames of more than 65,368 bytes: DPDK's vhost library copies a frame into one buffer, with fields of its own. */
const OVS_LONGEST = 65_300;
const RINGS = ['split', 'packed'] as const;
/** Offloads of testpmd: the device computes the checksums of UDP and TCP. */
const SUMS_BY_DEVICE = '--tx-offloads=0xc';
/** That checksums of UDP and TCP may be partial, TCP packets GSO packets (LRO), and packets in several buffers (scatter). */
const RECEIVES_GSO = '--rx-offloads=0x201c';
/**
 * A packet of 64 KB has at most 5 buffers. From 8 on, DPDK 22.11 sends without an indirect table. On a packed ring it then
 * crashes: the descriptor of a later indirect table still has the id of whatever was in its place before.
 */
const FEW_SEGMENTS = '--mbuf-size=16512';
const PEER = `--eth-peer=0,${MAC}`;

interface Stoppable {
  stop(): Promise<unknown>;
}

interface Backend {
  /** Whether it connects to our socket. */
  readonly connects?: boolean;
  /** Whether GSO packets come back as such. */
  readonly gso: boolean;
  /** Payload of the longest packets; 0: none is to be segmented. */
  readonly longest?: number;
  start(network: StreamNetwork, socket: string): Promise<Stoppable>;
}

async function startTestpmd(pmd: Testpmd): Promise<Stoppable> {
  await pmd.started();
  return { stop: () => pmd.quit() };
}

const csum = (device: string, ...args: string[]): Backend => ({
  ...{ gso: false, longest: 0 },
  start: (_, socket) =>
    startTestpmd(Testpmd.backend(socket, { forward: 'csum', device, onDemand: true, args: [PEER, ...args] })),
});

const ovsBackend = (connects: boolean): Backend => ({
  // OVS segments only at ports that connect. At the others it would drop what has no whole checksum.
  ...{ connects, gso: connects, ...(connects ? { longest: OVS_LONGEST } : {}) },
  async start(_, socket) {
    const port = { name: 'vm1.sock', ...(connects ? { connectTo: socket } : {}) };
    const options = { folder: dirname(socket), ports: [port], megabytes: 512, sleeps: true, segments: connects };
    const switching = await Ovs.start(options);
    switching.addFlow('in_port=1', 'in_port');
    return switching;
  },
});

const BACKENDS: readonly (readonly [string, Requirement[], Backend])[] = [
  ['dpdk-testpmd’s csum engine, sums by the device', [testpmd], csum('tso=1', SUMS_BY_DEVICE)],
  ['dpdk-testpmd’s csum engine, sums by itself', [testpmd], csum('tso=0')],
  [
    // DPDK's vhost has no segmentation for its applications, unless they keep the flags of the packets as they are.
    'dpdk-testpmd’s vhost with GSO packets',
    [testpmd],
    {
      gso: true,
      start: (_, socket) =>
        startTestpmd(Testpmd.backend(socket, { forward: 'io', device: 'tso=1,legacy-ol-flags=1', onDemand: true })),
    },
  ],
  ['OVS-DPDK’s dpdkvhostuser', [ovs], ovsBackend(false)],
  ['OVS-DPDK’s dpdkvhostuserclient, which connects to us', [ovs], ovsBackend(true)],
  [
    'our own switch',
    [],
    {
      gso: true,
      async start(network, socket) {
        const file = network.file('echo.bess');
        writeFileSync(
          file,
          `p = PMDPort(vdev='eth_vhost0,iface=${socket}')\nPortInc(port=p.name) -> PortOut(port=p.name)\n`,
        );
        const child = network.tspmd('switch', file);
        await child.waitFor(/^ready/m);
        return child;
      },
    },
  ],
];

for (const [name, needs, backend] of BACKENDS) {
  describeWith(`our driver with offloads and ${name}`, needs, () => {
    let network: StreamNetwork;
    let running: Stoppable | undefined;

    beforeEach(async () => {
      network = new StreamNetwork();
      running = await backend.start(network, network.socket(1));
    });

    afterEach(async () => {
      await network.close();
      await running?.stop();
      running = undefined;
    });

    it.each(RINGS)('gets every byte back, and GSO packets whole: %s rings', LIMIT, async (ring) => {
      const device = network.endpointWithMac(1, backend.connects ? ',server=1' : '');
      const { gso, longest } = backend;
      const options = {
        bytes: longest === 0 ? BYTES / 8 : BYTES,
        mac: MAC,
        flows: FLOWS,
        longest: longest ?? (gso ? MAX_PAYLOAD : FITTING),
      };
      const [result] = await network.sendFrames(device, options, '--offloads', 'auto', '--ring', ring);
      const { made, came } = result!;
      expect(made.chains).toBeGreaterThan(100);
      expect(came.gso > 0).toBe(gso);
    });
  });
}

describeWith('our switch between our driver and DPDK’s virtio-user driver, with offloads', [testpmd], () => {
  let network: StreamNetwork;
  let peer: Testpmd | undefined;

  beforeEach(async () => {
    network = new StreamNetwork();
    await network.startSwitch();
  });

  afterEach(async () => {
    await peer?.quit();
    await network.close();
  });

  it.each([
    ['split', 'csum and TSO', 'packed_vq=0', true],
    ['packed', 'csum and TSO', 'packed_vq=1', true],
    ['split', 'none', 'packed_vq=0', false],
    ['split', 'none, no mergeable buffers', 'packed_vq=0,mrg_rxbuf=0', false],
  ] as const)(
    'carries every byte to testpmd’s csum engine and back: %s rings, %s',
    LIMIT,
    async (ring, _, device, has) => {
      const args = [PEER, ...(has ? [SUMS_BY_DEVICE, RECEIVES_GSO, FEW_SEGMENTS] : [])];
      peer = Testpmd.frontend(network.socket(2), {
        forward: 'csum',
        device: `${device},mac=52:54:00:00:00:02`,
        onDemand: true,
        args,
      });
      await peer.started();
      if (has) await peer.segment(1448);
      const options = { bytes: BYTES, mac: '52:54:00:00:00:02', flows: FLOWS, ...(has ? {} : { longest: FITTING }) };
      const [result] = await network.sendFrames(
        network.endpointWithMac(1),
        options,
        '--offloads',
        'auto',
        '--ring',
        ring,
      );
      expect(result!.made.gso).toBeGreaterThan(50);
      expect(result!.came.gso > 0).toBe(has);
    },
  );
});

describeWith('our TCP over OVS-DPDK with offloads', [ovs], () => {
  const SIZE = 100_000_000;

  it('carries 100 MB to us, and every byte is right', LIMIT, async () => {
    const network = new StreamNetwork();
    const ports = [1, 2].map((i) => ({ name: `port${i}`, connectTo: network.socket(i) }));
    const options = { folder: dirname(network.socket(1)), ports, sleeps: true, segments: true };
    const switching = await Ovs.start(options);
    const endpoint = (i: number): string[] => network.endpointWithMac(i, ',server=1');
    try {
      switching.addFlow('in_port=1', 'output:2');
      switching.addFlow('in_port=2', 'output:1');
      await network.tspmd('run', ...endpoint(2), '--app', 'http').waitFor(/^ready/m);
      const get = network.tspmd('get', `http://10.0.0.2/bytes/${SIZE}`, ...endpoint(1), '--hash', 'sha256');
      expect((await get.exited).code, get.output).toBe(0);
      expect(get.output).toContain(patternHash(SIZE));
    } finally {
      await network.close();
      await switching.stop();
    }
  });
});

describeWith('a tap as device with offloads', [root, tun, command('curl'), command('ethtool')], () => {
  const SIZE = 50_000_000;
  let namespace: NetworkNamespace;
  let network: StreamNetwork;

  beforeEach(() => {
    namespace = NetworkNamespace.create();
    network = new StreamNetwork((...args) => namespace.tspmd(...args));
  });

  afterEach(async () => {
    await network.close();
    namespace.remove();
  });

  it('carries GSO packets both ways between the kernel and us, byte for byte', LIMIT, async () => {
    const device = ['--device', 'tap:tap0,host=10.0.0.9/24', '--ip', '10.0.0.1/24'];
    await network.tspmd('run', ...device, '--app', 'http').waitFor(/^ready/m);
    const content = network.file('content');
    writeFileSync(content, patternBytes(0, SIZE));
    const meanFrames = meanFramesFromNow(namespace, 'tap0');
    const run = async (line: string): Promise<string> => {
      const child = namespace.spawn('timeout', '40', 'bash', '-c', `set -o pipefail; ${line}`);
      expect((await child.exited).code, child.output).toBe(0);
      return child.stdout;
    };
    await run(`curl -sS --fail http://10.0.0.1/bytes/${SIZE} | cmp - ${content}`);
    const answer = await run(`curl -sS --fail -T ${content} -H Expect: 'http://10.0.0.1/sink?hash=sha256'`);
    expect(answer).toContain(patternHash(SIZE));
    const { rx, tx } = meanFrames();
    expect(Math.min(rx, tx)).toBeGreaterThan(1514);
  });
});
