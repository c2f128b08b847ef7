/**
 * What ping and an endpoint say when they get no answer: whether ARP or the echo failed, and which MAC address the
 * switch does not know.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { TwoPortSwitch } from '../support/flows/two-port-switch.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';

const MAC = '[0-9a-f:]{17}';
const RANDOM = `our MAC address ${MAC} was chosen at random \\(--mac sets another\\); a switch drops packets to an address that`;
/** Sends one UDP packet to 10.0.0.77, which no station has. */
const SENDER = `export default (core) => {
  let isSent = false;
  return {
    poll() {
      const packet = isSent ? null : core.getBufferTx();
      if (packet !== null) {
        const header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x66, 0x9d, 10, 0, 0, 1, 10, 0, 0, 77];
        packet.bytes.set([...header, 0, 9, 0, 9, 0, 8, 0, 0]);
        packet.length = 28;
        isSent = core.addBufferToRing(packet);
      }
      return core.getRxCount();
    },
  };
};`;

describe('an endpoint that gets no answer', () => {
  const network = new TwoPortSwitch();
  const start = (command: string, port: number, ...more: string[]): Child =>
    network.tspmd(command, ...network.endpoint(port), ...more);
  const ping = async (...more: string[]): Promise<string[]> => {
    const child = start('ping', 1, '--count', '3', '--interval', '0.02', '--timeout', '0.5', '--quiet', ...more);
    expect(await child.exited, child.output).toEqual({ code: 1, signal: null });
    expect(child.stdout).toContain('3 packets transmitted, 0 received, 100% packet loss');
    return child.stdout.trimEnd().split('\n');
  };

  beforeAll(async () => {
    await network.startSwitch();
  });
  afterEach(() => network.stopEndpoints());
  afterAll(() => network.close());

  it('hears from ping that ARP failed, and which MAC address it has', async () => {
    const lines = await ping('--to', '10.0.0.77');
    expect(lines.at(-1)).toMatch(
      new RegExp(`^ARP was never answered \\(1 request\\): is 10.0.0.77 running\\? ${RANDOM}`),
    );
    const named = await ping('--to', '10.0.0.77', '--mac', '52:54:00:00:00:01');
    expect(named.at(-1)).toContain('is 10.0.0.77 running? our MAC address 52:54:00:00:00:01 (--mac); a switch');
    expect((await ping('--to', '192.0.2.1')).at(-1)).toBe(
      'no route to 192.0.2.1: it is not on our link, and there is no --gateway',
    );
  });

  it('hears from ping whose address the switch does not know', async () => {
    const echo = start('run', 2, '--mac', '52:54:00:00:00:02');
    await echo.waitFor(/^ready/m);
    // The other side's answer to our request goes to our address only, and the switch does not know it.
    expect((await ping('--to', '10.0.0.2')).at(-1)).toMatch(new RegExp(`^ARP was never answered .* ${RANDOM}`));
    await echo.stop();
    const random = start('run', 2);
    await random.waitFor(/^ready/m);
    const lines = await ping('--to', '10.0.0.2', '--mac', '52:54:00:00:00:01');
    expect(lines.at(-1)).toMatch(
      new RegExp(
        `^ARP found the MAC address ${MAC}, but no echo reply came: does the host answer pings\\? our MAC address`,
      ),
    );
    // The other side is told as well.
    await random.waitFor(
      new RegExp(
        `^tspmd: other hosts asked for our MAC address, were answered, and have sent no packet since: ${RANDOM}`,
        'm',
      ),
    );
  });

  it('shows the sequence numbers that ping(8) would show', async () => {
    const echo = start('run', 2, '--mac', '52:54:00:00:00:02');
    await echo.waitFor(/^ready/m);
    const child = start(
      'ping',
      1,
      '--mac',
      '52:54:00:00:00:01',
      '--to',
      '10.0.0.2',
      '--count',
      '3',
      '--interval',
      '0.01',
    );
    expect(await child.exited).toEqual({ code: 0, signal: null });
    const sequences = [...child.stdout.matchAll(/icmp_seq=(\d+)/g)].map(([, sequence]) => sequence);
    expect(sequences).toEqual(['1', '2', '3']);
    expect(child.stdout).not.toMatch(/ARP/);
  });
});

// Each waits for seconds, so all modes wait at the same time.
describe.concurrent('an endpoint on a link where nobody answers ARP', () => {
  it.each(ALL_MODES)('is told so, in mode %s', async (mode) => {
    const network = new TwoPortSwitch();
    try {
      await network.startSwitch();
      const app = network.file('sender.mjs');
      writeFileSync(app, SENDER);
      const child = network.tspmd('run', ...network.endpoint(1), '--app', app, ...MODES[mode]);
      await child.waitFor(
        new RegExp(
          `^tspmd: ARP was never answered \\(\\d requests?\\): is any other host on the link\\? ${RANDOM}`,
          'm',
        ),
      );
      expect(await child.stop()).toEqual({ code: 0, signal: null });
      expect(child.output.match(/ARP was never answered/g)).toHaveLength(1);
    } finally {
      await network.close();
    }
  });
});
