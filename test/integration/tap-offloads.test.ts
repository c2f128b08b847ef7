/**
 * Taps with offloads, and the Linux kernel at both ends: two network namespaces, whose kernels leave checksums and
 * segmentation to the other one, through our driver.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const FORWARDER = fileURLToPath(new URL('../../dist/test/support/peers/tap-forwarder.main.js', import.meta.url));
const MEGABYTES = 24;

/** Serves the bytes of a counter, and their SHA-256 in the last 32 bytes. */
const SERVER = `
const { createServer } = require('node:net');
const { createHash } = require('node:crypto');
const bytes = Buffer.alloc(${MEGABYTES} << 20);
for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE((i * 2654435761) >>> 0, i);
const hash = createHash('sha256').update(bytes).digest();
createServer((socket) => { socket.write(bytes); socket.end(hash); }).listen(8000, '::', () => console.log('listening'));
`;
const CLIENT = `
const { connect } = require('node:net');
const { createHash } = require('node:crypto');
const chunks = [];
const socket = connect(8000, process.argv[1]);
socket.setTimeout(20000, () => { console.log('timeout'); process.exit(1); });
socket.on('data', (chunk) => chunks.push(chunk));
socket.on('end', () => {
  const all = Buffer.concat(chunks);
  const right = createHash('sha256').update(all.subarray(0, -32)).digest().equals(all.subarray(-32));
  console.log(all.length - 32, right ? 'right' : 'wrong');
});
`;

interface Seen {
  readonly packets: number;
  readonly gso: number;
  readonly chains: number;
  readonly partial: number;
  readonly longest: number;
}
interface Report {
  readonly seen: readonly [Seen, Seen];
  readonly counters: readonly [Record<string, number>, Record<string, number>];
  readonly free: readonly number[];
}

describeWith('taps with offloads', [root, tun, command('ip')], () => {
  let near: NetworkNamespace;
  let far: NetworkNamespace;
  let children: Child[] = [];

  beforeEach(() => {
    near = NetworkNamespace.create();
    far = NetworkNamespace.create();
  });

  afterEach(async () => {
    for (const child of children) await child.stop();
    children = [];
    near.remove();
    far.remove();
  });

  const keep = (child: Child): Child => {
    children.push(child);
    return child;
  };

  const addresses = (namespace: NetworkNamespace, tap: string, host: number): void => {
    namespace.ip('addr', 'add', `10.7.0.${host}/24`, 'dev', tap);
    namespace.ip('addr', 'add', `fd07::${host}/64`, 'dev', tap, 'nodad');
    namespace.ip('link', 'set', tap, 'up');
  };

  /** The forwarder between `tap0` in one namespace and `tap1` in the other. */
  async function start(receive: 'on' | 'off'): Promise<Child> {
    const forwarder = keep(near.spawn(process.execPath, FORWARDER, 'tap0', 'tap1', receive));
    await forwarder.waitFor(/^ready/m);
    near.ip('link', 'set', 'tap1', 'netns', far.name);
    addresses(near, 'tap0', 1);
    addresses(far, 'tap1', 2);
    const server = keep(near.spawn(process.execPath, '-e', SERVER));
    await server.waitFor(/^listening/m);
    return forwarder;
  }

  /** Downloads all from the server, and returns what the client says. */
  async function download(address: string): Promise<string> {
    const client = keep(far.spawn(process.execPath, '-e', CLIENT, address));
    await client.exited;
    return client.output.trim();
  }

  async function end(forwarder: Child): Promise<Report> {
    await forwarder.stop();
    return JSON.parse(forwarder.stdout.trim().split('\n').at(-1) as string) as Report;
  }

  it.each([
    ['IPv4', '10.7.0.1'],
    ['IPv6', 'fd07::1'],
  ])('carry GSO packets between two kernels, and every byte of them (%s)', async (_, address) => {
    const forwarder = await start('on');
    expect(await download(address)).toBe(`${MEGABYTES << 20} right`);
    const { seen, counters, free } = await end(forwarder);
    expect(seen[0].gso).toBeGreaterThan(100);
    expect(seen[0].chains).toBeGreaterThan(100);
    expect(seen[0].longest).toBeGreaterThan(20_000);
    // The acknowledgements have partial checksums, too.
    expect(seen[1].partial).toBeGreaterThan(10);
    for (const each of counters) {
      expect(each).toMatchObject({ rx_dropped_bad_offload: 0, tx_dropped_bad_offload: 0 });
      expect(each).toMatchObject({ rx_dropped_bad_length: 0, tx_dropped_bad_length: 0, rx_dropped_too_long: 0 });
    }
    expect(free).toEqual([2048, 2048]);
  });

  it('carry none when receive offloads were switched off', async () => {
    const forwarder = await start('off');
    expect(await download('10.7.0.1')).toBe(`${MEGABYTES << 20} right`);
    const { seen } = await end(forwarder);
    for (const each of seen) {
      expect(each).toMatchObject({ gso: 0, chains: 0, partial: 0 });
      expect(each.longest).toBeLessThanOrEqual(1514);
      expect(each.packets).toBeGreaterThan(100);
    }
  });
});
