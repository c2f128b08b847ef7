/** `tspmd/testing`: what the author of a stack tests with. The stack here is the simplest that sends and receives. */
import { describe, expect, it } from 'vitest';
import createEcho from '../../../../src/apps/echo.js';
import { type Core, init } from '../../../../src/index.js';
import { neighbourMac, openFakePort } from '../../../../src/testing/index.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import * as frames from '../../../support/link/frames.js';

const OUR = `${frames.OUR_IP}/24`;
const ping = Uint8Array.from(frames.ipv4(frames.icmpEcho([1, 2, 3]), { protocol: 1 }));
const PEER = [2, 0, 10, 0, 0, 2];

/** Sends the packet, from a buffer of its own. */
function send(core: Core, packet: ArrayLike<number>): void {
  const buffer = core.getBufferTx()!;
  buffer.bytes.set(packet);
  buffer.length = packet.length;
  expect(core.addBufferToRing(buffer)).toBe(true);
}

describe('a port on a fake device', () => {
  it('gives the stack what is injected, and shows what the stack sent', async () => {
    const net = await openFakePort({ ip: OUR });
    const echo = createEcho(net.core, {});
    expect(net.inject(ping)).toBe(true);
    expect(echo.poll()).toBe(1);
    const [reply, ...more] = net.sent();
    expect(more).toEqual([]);
    const answer = { protocol: 1, source: frames.OUR_IP, destination: frames.PEER_IP, ttl: 64 };
    expect([...reply!]).toEqual(frames.ipv4(frames.icmpEcho([1, 2, 3], 0), answer));
    expect(net.sent()).toEqual([]);
    expect(net.port.counters()).toMatchObject({ rx_delivered: 1, rx_frames: 2, arp_learned: 1 });
    await net.stop();
    expect(net.device.closed).toBe(true);
  });

  it('has a network whose neighbours answer ARP', async () => {
    const net = await openFakePort({ ip: OUR, mac: '52:54:00:00:00:01' });
    const packet = frames.ipv4([1], { source: frames.OUR_IP, destination: frames.PEER_IP });
    send(net.core, packet);
    expect(net.sent().map((sent) => [...sent])).toEqual([packet]);
    expect(neighbourMac(parseIpv4(frames.PEER_IP))).toEqual(Uint8Array.from(PEER));
    expect(net.device.frames.at(-1)).toEqual(frames.ethernet(packet, { source: frames.OUR_MAC, destination: PEER }));
    expect(net.device.frames.at(-2)).toEqual(frames.arpRequest(frames.PEER_IP));
    await net.stop();
  });

  it('has a network where nobody answers, until time has run out', async () => {
    const net = await openFakePort({ ip: OUR, answerArp: false });
    send(net.core, frames.ipv4([1], { source: frames.OUR_IP, destination: frames.PEER_IP }));
    expect(net.sent()).toEqual([]);
    expect(net.held).toBe(0);
    net.pass(8000);
    expect(net.now).toBe(8000);
    expect(net.port.counters()).toMatchObject({ arp_requests: 3, tx_drop_unresolved: 1 });
    net.answersArp = true;
    send(net.core, frames.ipv4([2], { source: frames.OUR_IP, destination: frames.PEER_IP }));
    net.pass(8000);
    expect(net.sent()).toHaveLength(1);
    await net.stop();
  });

  it('routes by the gateway, and filters as on a real network', async () => {
    const net = await openFakePort({ ip: OUR, gateway: '10.0.0.9' });
    const packet = frames.ipv4([1], { source: frames.OUR_IP, destination: '8.8.8.8' });
    send(net.core, packet);
    expect(net.sent()).toHaveLength(1);
    expect([...net.device.frames.at(-1)!.subarray(0, 6)]).toEqual([2, 0, 10, 0, 0, 9]);
    net.inject(Uint8Array.from(frames.ipv4([1], { destination: '10.0.0.77' })));
    expect(net.core.getRxCount()).toBe(0);
    expect(() => net.inject(new Uint8Array(19))).toThrow('inject: 19 bytes are no IP packet');
    await net.stop();
  });

  it('counts what the stack holds', async () => {
    const net = await openFakePort({ ip: OUR, device: { buffers: 64 } });
    net.inject(ping);
    expect(net.core.getRxCount()).toBe(1);
    const mine = [net.core.getBufferRx()!, net.core.getBufferTx()!];
    expect(net.held).toBe(2);
    for (const buffer of mine) net.core.release(buffer);
    expect(net.held).toBe(0);
    await net.stop();
  });

  it('wakes a sleeping stack by a packet and by time, and answers its ARP', async () => {
    const net = await openFakePort({ ip: OUR });
    const woken = net.core.waitForPackets();
    net.inject(ping);
    expect(await woken).toBe(1);
    net.core.release(net.core.getBufferRx()!);
    const timeout = net.core.waitForPackets({ timeoutMs: 1000 });
    send(net.core, frames.ipv4([1], { source: frames.OUR_IP, destination: '10.0.0.5' }));
    net.pass(999);
    expect(net.core.isAsleep).toBe(true);
    expect(net.sent()).toHaveLength(1);
    net.pass(1);
    expect(await timeout).toBe(0);
    await net.stop();
  });

  it('shows whole frames with layer ethernet', async () => {
    const net = await openFakePort({ ip: OUR, layer: 'ethernet' });
    const frame = frames.arpRequest(frames.PEER_IP);
    net.inject(frame);
    expect(net.core.getRxCount()).toBe(1);
    expect(net.core.addBufferToRing(net.core.getBufferRx()!)).toBe(true);
    expect(net.sent()).toEqual([frame]);
    await net.stop();
  });

  it('carries jumbo packets, and fills rings', async () => {
    const net = await openFakePort({ ip: OUR, mtu: 9000, device: { txRing: 1, holdTx: true } });
    const packet = frames.ipv4(new Array(8980).fill(7), { source: frames.OUR_IP, destination: frames.PEER_IP });
    net.device.complete();
    send(net.core, packet);
    // The ARP request has the only place in the ring.
    expect(net.sent()).toEqual([]);
    net.device.complete();
    expect([...net.sent()[0]!]).toEqual(packet);
    await net.stop();
  });

  it('has a clock, which cores in threads cannot have', async () => {
    const threads = init({ device: 'vhost-user:fake', ip: OUR, mode: '1kb', app: 'echo' }, { clock: () => 0 });
    await expect(threads).rejects.toThrow("clock: a clock of your own works only with mode 'single'");
  });

  it('refuses a wrong configuration as init does', async () => {
    await expect(openFakePort({ ip: '10.0.0.1' })).rejects.toThrow("ip: '10.0.0.1' has no prefix length");
  });
});
