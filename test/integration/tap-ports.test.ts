/**
 * Two kernels behind tap ports of the embedded switch. What one leaves unfinished, the other gets as it is; a kernel
 * behind a port whose offloads are limited finishes its packets itself. Every byte of a connection is right.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSwitch, type RunningSwitch } from '../../bess/index.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { patternHash } from '../support/peers/bytes.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const BYTES = 8_000_000;
const PORT = '7000';
const END = fileURLToPath(new URL('../../dist/test/support/peers/bytes-over-tcp.main.js', import.meta.url));
const NAMES = ['a', 'b'].map((end) => `td${process.pid}${end}`);
const SCRIPT = NAMES.map(
  (name, i) => `port${i} = PMDPort(name='port${i}', vdev='net_tap${i},iface=${name}' + $OPTIONS${i})`,
)
  .concat('QueueInc(port=port0.name, qid=0) -> QueueOut(port=port1.name, qid=0)')
  .concat('QueueInc(port=port1.name, qid=0) -> QueueOut(port=port0.name, qid=0)')
  .join('\n');

describeWith('two kernels behind tap ports', [root, tun, command('ip')], () => {
  let ends: NetworkNamespace[];
  let bess: RunningSwitch;

  beforeEach(() => {
    ends = NAMES.map(() => NetworkNamespace.create());
  });

  afterEach(async () => {
    await bess?.stop();
    for (const end of ends) end.remove();
  });

  /** Starts the switch with these options of its vdevs, and gives each kernel the address 10.0.0.1, or 10.0.0.2. */
  async function start(options: readonly string[]): Promise<void> {
    const variables = Object.fromEntries(options.map((text, i) => [`OPTIONS${i}`, text]));
    bess = await openSwitch({ script: { name: 'taps', source: SCRIPT }, variables, warn: () => {} });
    NAMES.forEach((name, i) => {
      const end = ends[i]!;
      end.adopt(name);
      end.ip('addr', 'add', `10.0.0.${i + 1}/24`, 'dev', name);
      end.ip('addr', 'add', `fd00::${i + 1}/64`, 'dev', name, 'nodad');
      end.ip('link', 'set', name, 'up');
    });
  }

  /** Sends the bytes in both directions of one connection at once. */
  async function transfer(address: string): Promise<void> {
    const server = ends[1]!.spawn(process.execPath, END, 'serve', address, PORT, String(BYTES));
    await server.waitFor(/^ready/m);
    const client = ends[0]!.spawn(process.execPath, END, 'connect', address, PORT, String(BYTES));
    for (const end of [client, server]) {
      const [, count, hash] = await end.waitFor(/^read (\d+) (\S+)/m);
      expect([Number(count), hash]).toEqual([BYTES, patternHash(BYTES)]);
    }
    await Promise.all([client.exited, server.exited]);
  }

  /** Bytes of the average frame that came from port `i`. */
  function averageOf(i: number): number {
    const { packets, bytes } = bess.stats().ports[`port${i}`]!.inc;
    return bytes / packets;
  }

  it.each(['10.0.0.2', 'fd00::2'])('carries packets for many segments between them: %s', async (address) => {
    await start(['', '']);
    await transfer(address);
    const { ports, summary } = bess.stats();
    // Every second packet or so is an acknowledgement, and yet the average is longer than an Ethernet frame.
    for (const i of [0, 1]) expect(averageOf(i)).toBeGreaterThan(1514);
    for (const { device } of Object.values(ports)) {
      expect(Object.keys(device).filter((name) => /bad|error|tooLong/i.test(name))).toEqual([]);
    }
    expect(summary.received).toBe(summary.forwarded + summary.dropped.total);
  });

  it.each([',tso=0', ',csum=0'])('limits what a kernel leaves unfinished: %j', async (options) => {
    await start([options, '']);
    await transfer('10.0.0.2');
    expect(averageOf(0)).toBeLessThanOrEqual(1514);
    expect(averageOf(1)).toBeGreaterThan(1514);
  });
});
