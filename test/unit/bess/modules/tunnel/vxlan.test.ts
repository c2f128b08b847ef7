/** VXLANEncap, IPEncap, EtherEncap and VXLANDecap: bytes, drops, offloads, metadata. */
import { afterEach, describe, expect, it } from 'vitest';
import { ENCAP, TO_OTHER_HOST, type TunnelLab, tunnelLab } from '../../../../support/bess/tunnel-lab.js';
import { carriedBy, carrying, OUTER } from '../../../../support/bess/vxlan-reference.js';
import { packetOf } from '../../../../support/offload/packets.js';

let lab: TunnelLab;
afterEach(async () => {
  await lab.stop();
});

const encap = (isShared = true) =>
  tunnelLab(
    ['vm', 'nic'],
    `QueueInc(port=vm.name) -> ${TO_OTHER_HOST} -> ${ENCAP} -> QueueOut(port=nic.name)`,
    isShared,
  );
const decap = (isShared = true) =>
  tunnelLab(['vm', 'nic'], `QueueInc(port=nic.name) -> d::VXLANDecap() -> QueueOut(port=vm.name)`, isShared);

describe.each([true, false])('a frame in a tunnel, memory shared: %s', (isShared) => {
  it('gets the headers that the reference decoder expects', async () => {
    lab = await encap(isShared);
    const frames = [60, 61, 1400, 14].map(
      (bytes, i) => packetOf({ payload: 10 + bytes, partial: false, seed: i }).frame,
    );
    lab.queue('vm').offer(...frames);
    lab.run();
    const { received } = lab.queue('nic');
    expect(received).toHaveLength(4);
    received.forEach((frame, i) => {
      const carried = carriedBy(frame);
      expect(carried).toMatchObject({
        vni: OUTER.vni,
        source: OUTER.source,
        destination: OUTER.destination,
        port: 4789,
      });
      if (typeof carried === 'string') throw new Error(carried);
      expect(carried.inner).toEqual(frames[i]);
      expect(carried.sourcePort).toBeGreaterThanOrEqual(49_152);
      expect(frame).toEqual(carrying(frames[i]!, { sourcePort: carried.sourcePort }));
    });
  });

  it('comes out again', async () => {
    lab = await decap(isShared);
    const frames = [14, 60, 1500].map((bytes, i) => new Uint8Array(bytes).fill(i + 1));
    lab.queue('nic').offer(...frames.map((frame) => carrying(frame)));
    expect(lab.run().summary.forwarded).toBe(3);
    expect(lab.queue('vm').received).toEqual(frames);
  });
});
