/**
 * Offloads of the Linux kernel through the embedded switch: GSO packets and partial checksums of two guests with the
 * kernel's own virtio-net driver, of this machine's kernel behind a tap, and of our TCP/IP stack. One NIC of the second
 * guest has no offloads: the switch segments for it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, OffloadLab, type PortName } from '../support/offloads/offload-lab.js';
import { patternHash } from '../support/peers/bytes.js';
import { command, describeWith, guest, root, tun } from '../support/requirements.js';

const BYTES = 50_000_000;
/** The longest frame that is no GSO packet. */
const FULL_FRAME = 1514;

/** From where to where, and whether each end takes GSO packets. */
const PATHS: readonly (readonly [PortName, PortName, boolean, boolean])[] = [
  ['guest1', 'guest2', true, true],
  ['guest2', 'guest1', true, true],
  ['guest1', 'kernel', true, true],
  ['kernel', 'guest2', true, true],
  ['guest1', 'plain', true, false],
  ['plain', 'guest1', false, true],
];

const COMMANDS = ['nc.openbsd', 'iperf3', 'ethtool', 'curl'].map(command);

describeWith('the kernel’s offloads through the switch', [guest, root, tun, ...COMMANDS], () => {
  let lab: OffloadLab;

  beforeAll(async () => {
    lab = await OffloadLab.start(BYTES);
    await lab.endpoint('--app', 'http');
  });

  afterAll(async () => {
    await lab?.close();
  });

  it.each([
    ['guest1', 'eth0', 'on'],
    ['guest2', 'eth0', 'on'],
    ['plain', 'eth1', 'off'],
  ] as const)('are what the driver of %s finds: %s has them %s', async (station, nic, state) => {
    const { stdout } = await lab.run(station, `ethtool -k ${nic}`);
    for (const feature of [
      'tx-checksum-ip-generic',
      'tx-tcp-segmentation',
      'tx-tcp6-segmentation',
      'tx-tcp-ecn-segmentation',
    ]) {
      expect(stdout).toMatch(new RegExp(`${feature}: ${state}\\b`));
    }
  });

  describe.each(PATHS)('from %s to %s', (from, to, fromHas, toHas) => {
    it(`carry ${BYTES / 1e6} MB, and every byte is right`, async () => {
      const passed = await lab.passedDuring(() => lab.transfer(from, to));
      expect(passed[from].inc > FULL_FRAME, JSON.stringify(passed)).toBe(fromHas);
      expect(passed[to].out > FULL_FRAME, JSON.stringify(passed)).toBe(fromHas);
      expect(passed[to].cut > BYTES / FULL_FRAME, JSON.stringify(passed)).toBe(fromHas && !toHas);
    });
  });

  it.each([
    ['one stream', []],
    ['one stream back', ['-R']],
    ['four streams both ways', ['-P', '4', '--bidir']],
  ])('work for iperf3 between the guests: %s', async (_, options) => {
    let received = 0;
    const passed = await lab.passedDuring(async () => {
      received = await lab.iperf3('guest1', 'guest2', '-t', '2', ...options);
    });
    expect(received).toBeGreaterThan(1e6);
    const sender = options.includes('-R') ? 'guest2' : 'guest1';
    expect(passed[sender].inc).toBeGreaterThan(FULL_FRAME);
  });

  describe.each(['guest1', 'plain', 'kernel'] as const)('between our stack and %s', (station) => {
    const url = `http://${addressOf('ours')}`;
    const has = station !== 'plain';
    const curl = `timeout 60 curl -sS --fail --interface ${addressOf(station)}`;

    it('carry GSO packets from us', async () => {
      const passed = await lab.passedDuring(async () => {
        const line = `(set -o pipefail; ${curl} ${url}/bytes/${BYTES} | cmp - ${lab.content})`;
        const { code, output } = await lab.run(station, line);
        expect(code, output).toBe(0);
      });
      expect(passed.ours.inc).toBeGreaterThan(FULL_FRAME);
      expect(passed[station].out).toBeGreaterThan(FULL_FRAME);
      expect(passed[station].cut > BYTES / FULL_FRAME).toBe(!has);
    });

    it('carry GSO packets to us', async () => {
      const passed = await lab.passedDuring(async () => {
        const { code, output, stdout } = await lab.run(
          station,
          `${curl} -T ${lab.content} -H 'Expect:' '${url}/sink?hash=sha256'`,
        );
        expect(code, output).toBe(0);
        expect(stdout).toContain(patternHash(BYTES));
      });
      expect(passed[station].inc > FULL_FRAME).toBe(has);
      expect(passed.ours.out > FULL_FRAME).toBe(has);
    });
  });

  it('need nothing to be refused or dropped as malformed', async () => {
    expect(lab.switchOutput).not.toMatch(/refused|broken/);
    const { ports } = await lab.switchStats();
    for (const { device } of Object.values(ports)) expect(device).not.toHaveProperty('badOffload');
  });
});
