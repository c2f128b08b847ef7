/** A flow of ours and a flow of Linux share a link: both send to a guest behind netem, which limits the rate. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LINUX_IP, LINUX_PORT, NetemLab, OURS_IP } from '../support/peers/netem-lab.js';
import { command, describeWith, guest, root, tun } from '../support/requirements.js';

const SECONDS = 20;
const MBITS = 10;
/** Packets in the queue of the link: 60 of 1514 bytes wait for 73 ms. */
const QUEUE = 60;
/** More than the link carries in the time. */
const MUCH = 1_000_000_000;

/** A line of shell that downloads for {@link SECONDS} and prints the number of bytes. */
const download = (url: string): string =>
  `curl -sS -m ${SECONDS} -o /dev/null -w '%{size_download}' ${url} 2>/dev/null`;

describeWith('our flow and one of Linux', [guest, root, tun, ...['tc', 'ethtool', 'curl', 'ip'].map(command)], () => {
  let lab: NetemLab;

  beforeAll(async () => {
    lab = await NetemLab.start(SECONDS + 90);
  });

  afterAll(async () => {
    await lab?.close();
  });

  it('share a link within 20 % of even, and leave none of it unused', async () => {
    await lab.peer.path('delay 10ms', `delay 10ms rate ${MBITS}mbit limit ${QUEUE}`);
    const [ours, linux] = [`${OURS_IP}/bytes/${MUCH}`, `${LINUX_IP}:${LINUX_PORT}/length/${MUCH}`].map(download);
    const line = `echo "ours $(${ours})" & echo "linux $(${linux})"; wait`;
    const { stdout, output } = await lab.peer.peer(line, (SECONDS + 20) * 1000);
    const bytesOf = (who: string): number => Number(new RegExp(`^${who} (\\d+)$`, 'm').exec(stdout)?.[1]);
    const sum = bytesOf('ours') + bytesOf('linux');
    console.log(`ours ${bytesOf('ours')} bytes, Linux ${bytesOf('linux')} bytes in ${SECONDS} s`);
    expect(sum, output).toBeGreaterThan((0.85 * SECONDS * MBITS * 1e6) / 8);
    expect(bytesOf('ours') / sum, output).toBeGreaterThan(0.4);
    expect(bytesOf('ours') / sum, output).toBeLessThan(0.6);
  });
});
