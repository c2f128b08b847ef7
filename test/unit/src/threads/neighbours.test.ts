/** ARP with several cores: they ask the Rx worker, which asks the link once for all of them. */
import { describe, expect, it } from 'vitest';
import { MAX_PARKED } from '../../../../src/link/neighbours/parking.js';
import type { RingCore } from '../../../../src/threads/core/ring-core.js';
import { SLOTS_PER_MESSAGE } from '../../../../src/threads/shared/neighbour-channel.js';
import { arp, arpReply, isArp, OTHER_MAC, PEER_IP } from '../../../support/link/frames.js';
import { packetTo } from '../../../support/link/test-core.js';
import {
  expectEveryBufferOnce,
  expectEveryFrameInOneCounter,
  SteppedPort,
  takeAll,
} from '../../../support/threads/stepped-port.js';
import { until } from '../../../support/until.js';

const NEIGHBOUR = '10.0.0.9';
const answer = (ip = NEIGHBOUR): Uint8Array => arpReply(ip, OTHER_MAC);

/** The ARP requests on the wire, as the addresses that they ask for. */
function requests({ device }: SteppedPort): string[] {
  return device.frames
    .filter((frame) => isArp(frame) && frame[21] === 1)
    .map((frame) => [...frame.slice(38)].join('.'));
}

/** First byte of the payload of each IP packet on the wire, in order. */
function sent({ device }: SteppedPort): number[] {
  return device.frames.filter((frame) => !isArp(frame)).map((frame) => frame[34]!);
}

const lettersIn = ({ interconnect }: SteppedPort, core: number, kind: 'asks' | 'answers'): number =>
  interconnect.ring(core, kind).count / SLOTS_PER_MESSAGE;

function send(core: RingCore, destination: string, number: number): void {
  expect(core.addBufferToRing(packetTo(core, destination, [number]))).toBe(true);
}

/** Every core polls once, and so do both loops. */
function turn(port: SteppedPort): void {
  port.settle();
  for (const core of port.cores) if (!port.gone.has(core.index)) core.getRxCount();
  port.settle();
}

describe.each(['1kb', '2kb'] as const)('%s: neighbours', (mode) => {
  const open = (stackCores = 3, buffers = 1024): SteppedPort => new SteppedPort({ mode, stackCores, buffers });

  it('are asked for once, whichever cores send; each core sends what waited, in order', () => {
    const port = open();
    for (const core of port.cores) for (let n = 0; n < 5; n++) send(core, NEIGHBOUR, 10 * core.index + n);
    turn(port);
    for (const core of port.cores) for (let n = 5; n < 8; n++) send(core, NEIGHBOUR, 10 * core.index + n);
    turn(port);
    expect(requests(port)).toEqual([NEIGHBOUR]);
    expect(sent(port)).toEqual([]);
    expect(port.cores.map((core) => core.held().parked)).toEqual([8, 8, 8]);
    port.device.inject(answer());
    turn(port);
    for (const core of port.cores) {
      const own = sent(port).filter((number) => Math.floor(number / 10) === core.index);
      expect(own).toEqual(Array.from({ length: 8 }, (_, n) => 10 * core.index + n));
      expect(core.counters()).toMatchObject({ tx_parked: 8, tx_queued: 8, tx_drop_unresolved: 0 });
    }
    const [frame] = port.device.frames.filter((bytes) => !isArp(bytes));
    expect([...frame!.slice(0, 6)]).toEqual(OTHER_MAC);
    expect(port.counted().arp_requests).toBe(1);
    expectEveryBufferOnce(port);
  });

  it('that do not answer cost each core its packets, and are counted', () => {
    const port = open();
    for (const core of port.cores) for (let n = 0; n < 3; n++) send(core, NEIGHBOUR, n);
    turn(port);
    port.pass(8000);
    turn(port);
    expect(requests(port)).toEqual([NEIGHBOUR, NEIGHBOUR, NEIGHBOUR]);
    expect(port.counted()).toMatchObject({ arp_gave_up: 1, tx_drop_unresolved: 9, tx_queued: 0 });
    expectEveryBufferOnce(port);
    // They are asked for anew.
    send(port.cores[1]!, NEIGHBOUR, 1);
    turn(port);
    expect(requests(port)).toHaveLength(4);
  });

  it('that another core has caused to be learned are answered for at once', () => {
    const port = open();
    send(port.cores[0]!, NEIGHBOUR, 1);
    send(port.cores[1]!, NEIGHBOUR, 2);
    port.device.inject(answer());
    // The question waits while the answer comes. There is no request on the wire.
    port.rx.link.neighbours.table.confirm(0x0a000009, Uint16Array.of(1, 2, 3), 0, port.time.now);
    turn(port);
    expect(requests(port)).toEqual([]);
    expect(sent(port).sort()).toEqual([1, 2]);
  });

  it('do not let later packets overtake those that wait', () => {
    const port = open();
    const core = port.cores[0]!;
    for (let n = 0; n < 3; n++) send(core, NEIGHBOUR, n);
    turn(port);
    port.device.inject(answer());
    port.settle();
    // The address is in the table; the core has not looked at its answer yet.
    for (let n = 3; n < 6; n++) send(core, NEIGHBOUR, n);
    turn(port);
    expect(sent(port)).toEqual([0, 1, 2, 3, 4, 5]);
    expectEveryBufferOnce(port);
  });

  it('that are forgotten before the core hears of them get no frame', () => {
    const port = open();
    send(port.cores[0]!, NEIGHBOUR, 1);
    turn(port);
    port.device.inject(answer());
    port.settle();
    port.rx.link.neighbours.table.remove(0x0a000009);
    turn(port);
    expect(sent(port)).toEqual([]);
    expect(port.counted()).toMatchObject({ tx_drop_unresolved: 1, tx_queued: 0 });
    expectEveryBufferOnce(port);
  });

  it('that are old are confirmed once, however many packets all cores send', () => {
    const port = open();
    port.device.inject(arp());
    turn(port);
    port.pass(35_000);
    port.device.frames.length = 0;
    const asks = (): number => port.cores.reduce((sum, { index }) => sum + lettersIn(port, index, 'asks'), 0);
    for (let n = 0; n < 20; n++) {
      for (const core of port.cores) send(core, PEER_IP, n);
      for (const core of port.cores) core.flush();
      // One question per core waits, not one per packet.
      expect(asks()).toBe(3);
    }
    turn(port);
    expect(sent(port)).toHaveLength(60);
    expect(requests(port)).toEqual([PEER_IP]);
    // The request goes to that neighbour only, not to all.
    expect(port.device.frames.find(isArp)![0]).toBe(0x52);
    for (const core of port.cores) send(core, PEER_IP, 1);
    expect(asks()).toBe(0);
    port.time.now += 1000;
    for (const core of port.cores) send(core, PEER_IP, 1);
    expect(asks()).toBe(3);
  });

  it('are more than can be asked for: the rest is counted, no packet waits for ever', () => {
    const port = open(2, 4096);
    const [core, other] = port.cores as [RingCore, RingCore];
    const { txQueue } = port.interconnect.plan;
    expect(txQueue).toBeGreaterThan(64);
    let parked = 0;
    for (let n = 0; n < 1500; n++) {
      const destination = `10.0.0.${2 + (n % 250)}`;
      send(core, destination, n);
      parked = Math.max(parked, core.held().parked);
      // The other core is slow: it asks, and does not read the answers.
      if (n < 500) send(other, destination, n);
      port.settle();
    }
    expect(parked).toBe(MAX_PARKED);
    for (let round = 0; round < 60; round++) {
      port.pass(1000);
      turn(port);
    }
    for (const { held } of port.cores.map((each) => ({ held: each.held() }))) expect(held.parked).toBe(0);
    const counters = port.counted();
    expect(counters.tx_drop_unresolved! + counters.tx_drop_park_full! + counters.tx_drop_neighbours_full!).toBe(2000);
    expectEveryBufferOnce(port);
    // All places are free again.
    for (const each of port.cores) send(each, NEIGHBOUR, 7);
    port.device.inject(answer());
    turn(port);
    turn(port);
    expect(sent(port)).toEqual([7, 7]);
  });

  it('are asked for by a core up to a bound; the answers always have room', () => {
    const port = new SteppedPort({ mode, stackCores: 1, buffers: 4096, ip: '10.0.0.1/16' });
    const [core] = port.cores as [RingCore];
    for (let n = 0; n < 2000; n++) {
      send(core, `10.0.${1 + (n >> 8)}.${n & 0xff}`, 1);
      // The Rx worker takes the questions; the core never looks at the answers.
      port.settle();
      if (n % 100 === 0) port.pass(1000);
    }
    port.pass(30_000);
    expect(lettersIn(port, 0, 'answers')).toBe(512);
    expect(core.counters().tx_drop_neighbours_full).toBeGreaterThan(0);
    while (lettersIn(port, 0, 'answers') > 0) turn(port);
    expect(core.held().parked).toBe(0);
    expectEveryBufferOnce(port);
    send(core, '10.0.200.1', 1);
    expect(core.held().parked).toBe(1);
  });

  it('send a sleeping core what waited for them', async () => {
    const port = open();
    const core = port.cores[0]!;
    const waiting = core.waitForPackets({ timeoutMs: 60_000 });
    for (let n = 0; n < 4; n++) send(core, NEIGHBOUR, n);
    port.settle();
    port.device.inject(answer());
    await until(
      'the packets are sent',
      () => sent(port).length === 4,
      () => port.settle(),
    );
    expect(sent(port)).toEqual([0, 1, 2, 3]);
    core.wake();
    expect(await waiting).toBe(0);
  });

  it('asked for by a core that failed do no harm', () => {
    const port = open();
    for (const core of port.cores) send(core, NEIGHBOUR, core.index);
    port.crash(1);
    port.deliverRetired();
    port.device.inject(answer());
    turn(port);
    turn(port);
    expect(sent(port).sort()).toEqual([0, 2]);
    expectEveryBufferOnce(port);
  });

  it('get ARP answers from the Rx worker, whose frames go out in turn with the cores’', () => {
    const port = open();
    for (let n = 0; n < 50; n++) port.device.inject(arp());
    turn(port);
    expect(port.device.frames.filter((frame) => isArp(frame) && frame[21] === 2)).toHaveLength(50);
    expect(port.counted()).toMatchObject({ rx_arp: 50, arp_answered: 50, rx_frames: 50 });
    expect(port.cores.flatMap((core) => takeAll(core))).toEqual([]);
    expectEveryFrameInOneCounter(port);
    expectEveryBufferOnce(port);
  });
});
