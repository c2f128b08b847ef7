/** `tcp-echo`, `discard` and `iperf3` with the kernel's nc and iperf3. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';
import { ALL_MODES, MODES, type Mode, withCores } from '../support/threads/modes.js';

const BYTES = 2_000_000;
const HALF_CLOSER = fileURLToPath(new URL('../../dist/test/support/peers/half-closer.app.js', import.meta.url));

/** A test of iperf3 has several connections, and all of them must come to the core that has the test. */
const oneCore = (mode: Mode): string[] => (mode === 'single' ? [] : withCores(mode, 1));

/** For iperf3: an amount of data in place of a time, which is a second at least. */
const SHORT = ['-n', '10M'];

/** What `iperf3 -J` prints, as far as it is read here. */
interface IperfReport {
  readonly end: {
    readonly sum_received: { readonly bytes: number };
    readonly streams: readonly { readonly receiver: { readonly bytes: number } }[];
  };
}

describeWith('our TCP servers for nc and iperf3', [...TCP_PEERS, command('nc.openbsd'), command('iperf3')], () => {
  let lab: KernelLab;
  let endpoint: Child | undefined;

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('bytes'), patternBytes(0, BYTES));
  });

  afterEach(async () => {
    await endpoint?.stop();
  });

  afterAll(async () => {
    await lab?.close();
  });

  it.each(ALL_MODES)('echoes everything after nc has ended its half, in mode %s', async (mode) => {
    endpoint = await lab.endpoint('--app', 'tcp-echo', ...MODES[mode]);
    const { code, output } = await lab.shell(15, `nc.openbsd -N ${OURS} 7 <${lab.file('bytes')} | sha256sum`);
    expect({ code, output }).toEqual({ code: 0, output: `${patternHash(BYTES)}  -\n` });
  });

  it.each(ALL_MODES)('receives everything after it has ended its own half, in mode %s', async (mode) => {
    endpoint = await lab.endpoint('--app', HALF_CLOSER, ...MODES[mode]);
    const { code, output } = await lab.shell(15, `nc.openbsd -N ${OURS} 7000 <${lab.file('bytes')}`);
    expect({ code, output }).toEqual({ code: 0, output: 'goodbye\n' });
    await endpoint.waitFor(new RegExp(`^received ${BYTES} bytes, ${patternHash(BYTES)}$`, 'm'));
  });

  it.each(ALL_MODES)('discards what nc sends, in mode %s', async (mode) => {
    endpoint = await lab.endpoint('--app', 'discard', ...MODES[mode]);
    const { code, output } = await lab.shell(15, `nc.openbsd -N ${OURS} 9 <${lab.file('bytes')}`);
    expect({ code, output }).toEqual({ code: 0, output: '' });
  });

  it.each(ALL_MODES)(
    'is measured by iperf3, one and four streams, in both directions, in mode %s',
    { timeout: 60_000 },
    async (mode) => {
      endpoint = await lab.endpoint('--app', 'iperf3', ...oneCore(mode));
      for (const options of [
        ['-t', '1'],
        ['-R', ...SHORT],
        ['-P', '4', ...SHORT],
        ['-P', '4', '-R', ...SHORT],
      ]) {
        const { code, stdout, output } = await lab.run(15, 'iperf3', '-c', OURS, '-J', ...options);
        expect(code, output).toBe(0);
        const { end } = JSON.parse(stdout) as IperfReport;
        expect(end.sum_received.bytes, stdout).toBeGreaterThan(0);
        expect(end.streams).toHaveLength(options.includes('-P') ? 4 : 1);
        for (const { receiver } of end.streams) expect(receiver.bytes, stdout).toBeGreaterThan(0);
      }
    },
  );
});
