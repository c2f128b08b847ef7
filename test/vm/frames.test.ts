/** Raw frames on a guest's wire: what a hostile or broken neighbour may send. */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { arp, ethernet, icmpEcho, ipv4, OTHER_MAC, OUR_MAC, PEER_MAC, udp } from '../support/link/frames.js';
import { DgramLink } from '../support/peers/dgram-link.js';
import { describeWith, guest, requireForTest, vfioRequirements } from '../support/requirements.js';
import { MODES, type Mode } from '../support/threads/modes.js';

const NIC = nicAddress(0);
const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const READY_MS = 120_000;
const MAC = Buffer.from(OUR_MAC)
  .toString('hex')
  .replace(/..(?=.)/g, '$&:');

describeWith('raw frames to tspmd in a guest', [guest], () => {
  let link: DgramLink;
  let child: Child | undefined;

  beforeEach(async () => {
    link = await DgramLink.open();
  });

  afterEach(async () => {
    await child?.stop();
    link.close();
  });

  /** Runs `tspmd run`; a line on its standard input stops it in good order. */
  async function run(mode: Mode, vfio: 'iommu' | 'no-iommu'): Promise<Child> {
    const ring = mode === 'single' ? 'split' : 'packed';
    const options = [
      '--device',
      NIC,
      '--mac',
      MAC,
      '--ip',
      '10.0.0.1/24',
      '--app',
      'echo',
      '--ring',
      ring,
      ...MODES[mode],
    ];
    const command = Child.commandLine('run', ...options).join(' ');
    const bind = `${BIND} ${NIC} ${vfio === 'iommu' ? '' : '--no-iommu'}`;
    const script = `set -e; ${bind}; ${command} & PID=$!; read -r _; kill $PID; wait $PID`;
    child = Guest.start({
      mode: vfio,
      netdevs: [`${link.netdev},packed=on`],
      cpus: mode === 'single' ? 1 : 3,
      timeout: 230,
      command: ['bash', '-c', script],
    });
    await child.waitFor(/^ready/m, READY_MS);
    return child;
  }

  const isIcmpReply = (sequence: number) => (frame: Buffer) =>
    frame.readUInt16BE(12) === 0x0800 && frame[23] === 1 && frame[34] === 0 && frame.readUInt16BE(40) === sequence;

  /**
   * Sends until it is answered: QEMU's end of the link drops frames that come faster than an emulated guest can take
   * them.
   */
  async function ask(what: string, frame: Uint8Array, isAnswer: (frame: Buffer) => boolean): Promise<Buffer> {
    const before = link.frames.length;
    const timer = setInterval(() => void link.send(frame), 500);
    try {
      await link.send(frame);
      return await link.receive(what, (answer) => link.frames.indexOf(answer) >= before && isAnswer(answer));
    } finally {
      clearInterval(timer);
    }
  }

  /** Asks by ARP and pings, as any neighbour would; rejects when one of them is not answered. */
  async function neighbourPings(sequence: number): Promise<void> {
    await ask('ARP reply', arp(), (frame) => frame.readUInt16BE(12) === 0x0806 && frame.readUInt16BE(20) === 2);
    const payload = Array.from({ length: 100 }, (_, i) => (i * 7) & 0xff);
    const request = ethernet(ipv4(icmpEcho(payload, 8, 0x1234, sequence), { protocol: 1 }));
    const reply = await ask(`reply to ping ${sequence}`, request, isIcmpReply(sequence));
    expect([...reply.subarray(0, 12)]).toEqual([...PEER_MAC, ...OUR_MAC]);
    expect([...reply.subarray(42, 142)]).toEqual(payload);
  }

  it.for([
    ['single', 'iommu'],
    ['1kb', 'no-iommu'],
    ['2kb', 'iommu'],
  ] as const)(
    'in mode %s, %s: counts malformed frames of every kind, and still answers others',
    async ([mode, vfio], context) => {
      requireForTest(context, vfioRequirements(vfio));
      const endpoint = await run(mode, vfio);
      await neighbourPings(1);
      const malformed: Uint8Array[] = [
        ethernet([]),
        ethernet(new Array(46).fill(0), { type: 0x86dd }),
        ethernet(new Array(46).fill(0), { type: 0x8100 }),
        ethernet(ipv4([1, 2, 3], { version: 6 })),
        ethernet(ipv4([1, 2, 3], { headerWords: 4 })),
        ethernet(ipv4([1, 2, 3], { headerWords: 15 })),
        ethernet(ipv4([1, 2, 3], { totalLength: 1400 })),
        ethernet(ipv4([1, 2, 3], { totalLength: 3 })),
        ethernet(ipv4([1, 2, 3], { destination: '10.0.0.77' })),
        ethernet(ipv4([1, 2, 3]), { destination: OTHER_MAC }),
        ethernet(ipv4([1, 2, 3]), { source: OUR_MAC }),
        ethernet(ipv4(udp([1, 2, 3], 7, 7), { protocol: 17 })),
        ethernet(ipv4([0, 1], { protocol: 17 })),
        ethernet(ipv4(icmpEcho([1]).slice(0, 4), { protocol: 1 })),
        ethernet(ipv4(icmpEcho([1]), { protocol: 1, fragment: 0x2000 })),
        ethernet(new Array(1500).fill(0xff)),
        arp({ operation: 9 }),
        arp({ senderMac: [1, 0, 0, 0, 0, 0] }),
        arp({ senderIp: '10.0.0.1' }),
        arp().subarray(0, 30),
        Uint8Array.from({ length: 1514 }, (_, i) => (i * 31) & 0xff),
      ];
      for (let round = 0; round < 5; round++) {
        for (const frame of malformed) await link.send(frame);
        // Between the rounds, so that the guest has taken them.
        await neighbourPings(2 + round);
      }
      endpoint.write('stop\n');
      expect((await endpoint.exited).code, endpoint.output).toBe(0);
      const [, dropped] = endpoint.stdout.match(/^stopped: .* dropped (\d+) \(/m) ?? [];
      // The filter drops most of them. The others reach the stack or ARP, which count them in other counters.
      expect(Number(dropped), endpoint.stdout).toBeGreaterThanOrEqual(5 * 8);
      expect(endpoint.output).not.toMatch(/\n\s+at /);
    },
  );
});
