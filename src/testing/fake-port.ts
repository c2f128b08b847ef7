/**
 * A port on a {@link FakeDevice}: the core, the filter and ARP are real; the test plays the network and sets the clock.
 */
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
import { MAC_BYTES, type WireMemory, wireMemory } from '../wire/index.js';
import { IPV4_HEADER_BYTES, ipv4Source } from '../wire/ipv4.js';
import { FakeDevice, type FakeDeviceOptions } from './fake-device.js';
import type { InjectOptions } from './fake-entries.js';

/** Options of {@link openFakePort}: those of {@link init} that make sense on a fake device, and some of its own. */
export interface FakePortOptions
  extends Pick<
    TspmdConfig,
    'ip' | 'mac' | 'mtu' | 'gateway' | 'neighbours' | 'layer' | 'acceptBroadcast' | 'acceptMulticast' | 'idle' | 'rss'
  > {
  /** Whether neighbours answer ARP, each with its {@link neighbourMac}. Default true. */
  readonly answerArp?: boolean;
  /** Number of buffers and length of the transmit ring. */
  readonly device?: Pick<FakeDeviceOptions, 'buffers' | 'bufferShift' | 'txRing' | 'holdTx'>;
  /**
   * What the device does for packets to send: OFFLOAD_ bits. {@link FakePort.sent} returns packets as they go onto the
   * wire, with checksums and cut into segments; `device.packets` has what was asked for. Default 0.
   */
  readonly offloads?: number;
}

/** {@link FakePort.pass} calls timers once per so many ms, as a polling core does. */
const STEP_MS = 50;

/**
 * Returns the MAC address of a neighbour on the fake network: 02:00 and the four bytes of its IP address.
 * @param ip signed or unsigned
 * @returns six bytes
 */
export function neighbourMac(ip: number): Uint8Array {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0);
  writeI32(mac, 2, ip);
  return mac;
}

/**
 * Opens a port on a fake device. It needs no privileges, and opens no sockets and no threads.
 *
 * @returns the port; call {@link FakePort.stop} at the end
 * @throws ConfigError when the configuration cannot work, as {@link init} does
 * @example A test that a stack answers a ping:
 * const net = await openFakePort({ ip: '10.0.0.1/24' });
 * const stack = createMyStack(net.core, {});
 * net.inject(echoRequest); // an IP packet from 10.0.0.2, made with tspmd/wire
 * stack.poll();
 * const [reply] = net.sent();
 * assert.equal(icmpType(reply, IPV4_HEADER_BYTES), ICMP_ECHO_REPLY);
 * await net.stop();
 */
export async function openFakePort(options: FakePortOptions): Promise<FakePort> {
  const { answerArp = true, device: deviceOptions, offloads = 0, ...config } = options;
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
        opened.device = new FakeDevice({ ...deviceOptions, ...own, offloads, finish: true });
        return opened.device;
      },
    },
  );
  return new FakePort(port, opened.device!, time, warnings, answerArp);
}

/** A port on a fake device; {@link openFakePort} makes it. */
export class FakePort {
  /** The core to give to the stack. */
  readonly core: Core;
  private readonly single: SingleCore;
  /** Whether neighbours answer ARP requests that are sent from now on. */
  answersArp: boolean;
  /** ARP replies that the core has not received yet. */
  private readonly arpReplies: Uint8Array[] = [];
  /** How many frames of the device {@link sent} has returned. */
  private taken = 0;

  /** Call {@link openFakePort} instead. */
  constructor(
    /** The port, with its counters. */
    readonly port: SinglePort,
    /** The device: the frames that were sent, the link, the transmit ring. */
    readonly device: FakeDevice,
    private readonly time: { now: number },
    /** The warnings of the port. */
    readonly warnings: readonly string[],
    answersArp: boolean,
  ) {
    this.single = port.core(0) as SingleCore;
    this.core = this.single;
    this.answersArp = answersArp;
    this.taken = device.frames.length;
    device.onFrame = (frame) => this.answerArpRequest(frame);
  }

  /** The time that the clock of the port shows, in ms. */
  get now(): number {
    return this.time.now;
  }

  /**
   * How many buffers the stack owns: it has neither released nor sent them. 0 at the end of a test, unless it leaks
   * some.
   */
  get held(): number {
    const { pool, held: inFlight } = this.device;
    const { waiting, pending, parked } = this.single.held();
    return pool.geometry.count - pool.available - inFlight - waiting - pending - parked;
  }

  /**
   * Receives a packet. The stack gets it at its next poll.
   * @param packet with layer `ip` an IP packet, which comes from the neighbour that has its source address; with layer
   * `ethernet` a whole frame; it is copied
   * @param how what the device says of it: only on a port with `offloads`. `parts` and `csumStart` count from the first
   * byte of `packet`
   * @returns false when no buffer was free, and the packet is lost
   * @throws RangeError when it is shorter than an IP header
   */
  inject(packet: Uint8Array, how: InjectOptions = {}): boolean {
    if (this.core.layer === 'ethernet') return this.device.inject(packet, how);
    if (packet.length < IPV4_HEADER_BYTES) throw new RangeError(`inject: ${packet.length} bytes are no IP packet`);
    const frame = new Uint8Array(ETH_HEADER_BYTES + packet.length);
    frame.set(packet, ETH_HEADER_BYTES);
    const source = macWords(neighbourMac(ipv4Source(packet, 0)));
    writeEthHeader(wireMemory(frame).u16, 0, macWords(this.port.mac), source, ETHERTYPE_IPV4_WORD);
    const { csumStart = 0, parts: [first, ...others] = [] } = how;
    const parts = first === undefined ? [] : [ETH_HEADER_BYTES + first, ...others];
    return this.device.inject(frame, { ...how, csumStart: ETH_HEADER_BYTES + csumStart, parts });
  }

  /**
   * Returns copies of the packets that the stack has sent since the last call, in order: with layer `ip` IP packets,
   * without ARP; with layer `ethernet` whole frames. Packets that still wait for an answer to ARP are not among them.
   */
  sent(): Uint8Array[] {
    this.settle();
    const frames = this.device.frames.slice(this.taken);
    this.taken = this.device.frames.length;
    if (this.core.layer === 'ethernet') return frames;
    return frames.filter((frame) => ethType(frame, 0) !== ETHERTYPE_ARP).map((frame) => frame.slice(ETH_HEADER_BYTES));
  }

  /**
   * Lets time pass: ARP asks again or gives up, and `waitForPackets` ends when its time is over. Timers of the stack
   * run when the test calls its poll.
   * @param ms milliseconds
   */
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

  /** Sends what the core has queued, delivers the answers to ARP, and sends the packets that waited for them. */
  private settle(): void {
    this.core.flush();
    while (this.arpReplies.length > 0) {
      for (const reply of this.arpReplies.splice(0)) this.device.inject(reply);
      // When the core is asleep, the interrupt has made it poll.
      if (!this.core.isAsleep) this.core.getRxCount();
      this.core.flush();
    }
  }

  /** Queues the answer to a frame that is an ARP request. It is delivered after the core has finished sending. */
  private answerArpRequest(frame: Uint8Array): void {
    const arp = ETH_HEADER_BYTES;
    if (!this.answersArp || this.core.layer === 'ethernet' || ethType(frame, 0) !== ETHERTYPE_ARP) return;
    if (!isArp(frame, arp, frame.length - arp) || arpOperation(frame, arp) !== ARP_REQUEST) return;
    // A request for the sender's own address is an announcement.
    if (arpTargetIp(frame, arp) === arpSenderIp(frame, arp)) return;
    this.arpReplies.push(replyTo(frame));
    queueMicrotask(() => this.settle());
  }
}

/** Makes the frame that answers an ARP request. */
function replyTo(request: Uint8Array): Uint8Array {
  const arp = ETH_HEADER_BYTES;
  const ip = arpTargetIp(request, arp);
  const mac = macWords(neighbourMac(ip));
  const requester = macWords(request.subarray(arp + ARP_SENDER_MAC, arp + ARP_SENDER_MAC + MAC_BYTES));
  const memory: WireMemory = wireMemory(new Uint8Array(arp + ARP_BYTES));
  writeEthHeader(memory.u16, 0, requester, mac, ETHERTYPE_ARP_WORD);
  writeArp(memory, arp, ARP_REPLY, mac, ip, requester, arpSenderIp(request, arp));
  return memory.u8;
}
