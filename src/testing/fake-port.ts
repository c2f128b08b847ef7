/** A port on a {@link FakeDevice}: the real core, filter and ARP of tspmd, a network that the test plays, a clock that it turns. */
import { type Core, init, type SinglePort, type TspmdConfig } from '../index.js';
import type { SingleCore } from '../link/single-core.js';
import {
  ARP_BYTES,
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_MAC,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  isArp,
  writeArp,
} from '../wire/arp.js';
import { writeI32 } from '../wire/bytes.js';
import {
  ETH_HEADER_BYTES,
  ETHERTYPE_ARP,
  ETHERTYPE_ARP_WORD,
  ETHERTYPE_IPV4_WORD,
  ethType,
  macWords,
  writeEthHeader,
} from '../wire/ethernet.js';
import { type WireMemory, wireMemory } from '../wire/index.js';
import { IPV4_HEADER_BYTES, ipv4Source } from '../wire/ipv4.js';
import { FakeDevice, type FakeDeviceOptions } from './fake-device.js';

/** The configuration of {@link init}, as far as a fake device has a use for it. */
export interface FakePortOptions
  extends Pick<
    TspmdConfig,
    'ip' | 'mac' | 'mtu' | 'gateway' | 'neighbours' | 'layer' | 'acceptBroadcast' | 'acceptMulticast' | 'idle' | 'rss'
  > {
  /** False: no neighbour answers ARP. Default true: each answers, with the address of {@link neighbourMac}. */
  readonly answerArp?: boolean;
  /** Of the fake device: how many buffers it has, how long its ring is. */
  readonly device?: Pick<FakeDeviceOptions, 'buffers' | 'txRing' | 'holdTx'>;
}

/** Time passes in steps of so many milliseconds: as often a polling core would look at its timers. */
const STEP_MS = 50;

/** The MAC address of the neighbour `ip` on a fake network, six bytes: 02:00 and the four bytes of its IP address. */
export function neighbourMac(ip: number): Uint8Array {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0);
  writeI32(mac, 2, ip);
  return mac;
}

/**
 * Opens a port on a fake device, for the tests of a stack. No privileges, no sockets, no threads.
 *
 * @returns the port; {@link FakePort.stop} gives it back
 * @throws ConfigError as {@link init} does
 * @example A ping to a stack is answered:
 * const net = await openFakePort({ ip: '10.0.0.1/24' });
 * const stack = createMyStack(net.core, {});
 * net.inject(echoRequest); // an IP packet from 10.0.0.2, made with tspmd/wire
 * stack.poll();
 * const [reply] = net.sent();
 * assert.equal(icmpType(reply, IPV4_HEADER_BYTES), ICMP_ECHO_REPLY);
 * await net.stop();
 */
export async function openFakePort(options: FakePortOptions): Promise<FakePort> {
  const { answerArp = true, device: deviceOptions, ...config } = options;
  const time = { now: 0 };
  const warnings: string[] = [];
  const opened: { device?: FakeDevice } = {};
  const port = await init(
    { ...config, device: 'vhost-user:fake' },
    {
      clock: () => time.now,
      warn: (line) => warnings.push(line),
      openDevice: async ({ mac, mtu }) => {
        const own = { ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) };
        opened.device = new FakeDevice({ ...deviceOptions, ...own });
        return opened.device;
      },
    },
  );
  return new FakePort(port, opened.device!, time, warnings, answerArp);
}

export class FakePort {
  /** What the stack gets. */
  readonly core: Core;
  private readonly single: SingleCore;
  /** Whether neighbours answer ARP, from now on. */
  answersArp: boolean;
  private readonly questions: Uint8Array[] = [];
  private taken = 0;

  /** For {@link openFakePort} alone. */
  constructor(
    readonly port: SinglePort,
    /** The device: all frames that were sent, its link, its ring. */
    readonly device: FakeDevice,
    private readonly time: { now: number },
    /** Lines that the port warned with. */
    readonly warnings: readonly string[],
    answersArp: boolean,
  ) {
    this.single = port.core(0) as SingleCore;
    this.core = this.single;
    this.answersArp = answersArp;
    this.taken = device.frames.length;
    device.onFrame = (frame) => this.look(frame);
  }

  /** Milliseconds that have passed: what the clock of the port shows. */
  get now(): number {
    return this.time.now;
  }

  /** Packet buffers that the stack holds: received or taken to send, and neither released nor sent. 0 when it leaks none. */
  get held(): number {
    const { pool, held: inFlight } = this.device;
    const { waiting, pending, parked } = this.single.held();
    return pool.geometry.count - pool.available - inFlight - waiting - pending - parked;
  }

  /**
   * A packet arrives: with layer `ip` an IP packet, which gets an Ethernet header from the neighbour whose address is its
   * source; with layer `ethernet` a whole frame. The stack sees it at its next poll.
   * @returns false when no buffer was free: the packet is lost
   */
  inject(packet: Uint8Array): boolean {
    if (this.core.layer === 'ethernet') return this.device.inject(packet);
    if (packet.length < IPV4_HEADER_BYTES) throw new RangeError(`inject: ${packet.length} bytes are no IP packet`);
    const frame = new Uint8Array(ETH_HEADER_BYTES + packet.length);
    frame.set(packet, ETH_HEADER_BYTES);
    const source = macWords(neighbourMac(ipv4Source(packet, 0)));
    writeEthHeader(wireMemory(frame).u16, 0, macWords(this.port.mac), source, ETHERTYPE_IPV4_WORD);
    return this.device.inject(frame);
  }

  /**
   * What the stack has sent since the last call, as copies, in order: with layer `ip` IP packets, without ARP; with layer
   * `ethernet` whole frames. What waits for ARP is among them if the neighbour has answered.
   */
  sent(): Uint8Array[] {
    this.settle();
    const frames = this.device.frames.slice(this.taken);
    this.taken = this.device.frames.length;
    if (this.core.layer === 'ethernet') return frames;
    return frames.filter((frame) => ethType(frame, 0) !== ETHERTYPE_ARP).map((frame) => frame.slice(ETH_HEADER_BYTES));
  }

  /** Lets `ms` milliseconds pass: ARP asks again or gives up, sleeps end. Call the stack's poll for timers of its own. */
  pass(ms: number): void {
    for (const end = this.time.now + ms; this.time.now < end; ) {
      this.time.now = Math.min(end, this.time.now + STEP_MS);
      this.single.tick(this.time.now);
      this.settle();
      this.device.interrupt();
    }
  }

  /** Stops the port. */
  async stop(): Promise<void> {
    await this.port.stop();
  }

  /** What is to be sent leaves, neighbours answer, and what has waited for that leaves, too. */
  private settle(): void {
    this.core.flush();
    while (this.questions.length > 0) {
      for (const question of this.questions.splice(0)) this.device.inject(question);
      // Asleep, the interrupt has made it poll.
      if (!this.core.isAsleep) this.core.getRxCount();
      this.core.flush();
    }
  }

  /** A frame leaves. A question by ARP is answered when the core is done with sending. */
  private look(frame: Uint8Array): void {
    const arp = ETH_HEADER_BYTES;
    if (!this.answersArp || this.core.layer === 'ethernet' || ethType(frame, 0) !== ETHERTYPE_ARP) return;
    if (!isArp(frame, arp, frame.length - arp) || arpOperation(frame, arp) !== ARP_REQUEST) return;
    // Its own address: an announcement, not a question.
    if (arpTargetIp(frame, arp) === arpSenderIp(frame, arp)) return;
    this.questions.push(answerTo(frame));
    queueMicrotask(() => this.settle());
  }
}

/** The answer to a question by ARP, as a frame. */
function answerTo(question: Uint8Array): Uint8Array {
  const arp = ETH_HEADER_BYTES;
  const asked = arpTargetIp(question, arp);
  const asker = macWords(question.subarray(arp + ARP_SENDER_MAC, arp + ARP_SENDER_MAC + 6));
  const answerer = macWords(neighbourMac(asked));
  const memory: WireMemory = wireMemory(new Uint8Array(arp + ARP_BYTES));
  writeEthHeader(memory.u16, 0, asker, answerer, ETHERTYPE_ARP_WORD);
  writeArp(memory, arp, ARP_REPLY, answerer, asked, asker, arpSenderIp(question, arp));
  return memory.u8;
}
