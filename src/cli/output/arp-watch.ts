/**
 * Explains why no answers come. Most first attempts fail because our MAC address is not in the table of the switch, and
 * then nothing at all comes back.
 */
import type { EventSink } from '../../../drivers/log/events.js';
import { type Core, formatMac, type Port, parseIpv4 } from '../../index.js';

/** How often {@link ArpWatch} looks, in ms. A neighbour that is asked between two looks has a second to answer. */
const LOOK_MS = 2000;

/** Names our MAC address and its origin. */
function ownMac({ config, mac }: Port): string {
  const address = `our MAC address ${formatMac(mac)}`;
  if (config.mac !== undefined) return `${address} (--mac)`;
  // A vhost-user backend does not give the frontend a MAC address.
  const origin = config.device.startsWith('vhost-user:') ? 'was chosen at random' : 'is that of the device';
  return `${address} ${origin} (--mac sets another)`;
}

function advice(port: Port): string {
  return `${ownMac(port)}; a switch drops packets to an address that is not in its table`;
}

const unanswered = (requests: number): string =>
  `ARP was never answered (${requests} ${requests === 1 ? 'request' : 'requests'})`;

/**
 * Explains in one line why ping got no answer from `to`: no route, no answer to ARP, or no answer to the ping itself.
 */
export function whyNoAnswer(port: Port, core: Core, to: string): string {
  const { arp_requests: requests = 0 } = port.counters();
  if (!core.hasRoute(parseIpv4(to))) return `no route to ${to}: it is not on our link, and there is no --gateway`;
  const hop = core.nextHopMac(parseIpv4(to));
  if (hop !== null) {
    return `ARP found the MAC address ${formatMac(hop)}, but no echo reply came: does the host answer pings? ${advice(port)}`;
  }
  const host = port.config.gateway === undefined ? to : `${to} or the gateway`;
  return `${unanswered(requests)}: is ${host} running? ${advice(port)}`;
}

/**
 * Watches the ARP counters of a running port, and warns once when the port cannot reach anybody or cannot be reached.
 */
export class ArpWatch {
  private readonly timer: NodeJS.Timeout;
  /** The counters at the last look. */
  private asked = 0;
  private answered = 0;

  /** @param tell takes a line, with its event */
  constructor(
    private readonly port: Port,
    private readonly tell: EventSink,
  ) {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private warn(line: string): void {
    this.tell(line, { event: 'unreachable', mac: formatMac(this.port.mac) });
  }

  private look(): void {
    const { port } = this;
    const { arp_requests: asked = 0, arp_answered: answered = 0, ...counters } = port.counters();
    const { arp_learned: learned = 0, arp_confirmed: confirmed = 0, rx_delivered: delivered = 0 } = counters;
    const isAlone = this.asked > 0 && learned + confirmed === 0;
    const isMissed = this.answered > 0 && port.config.mac === undefined;
    if (delivered === 0 && isAlone) {
      this.warn(`${unanswered(asked)}: is any other host on the link? ${advice(port)}`);
    } else if (delivered === 0 && isMissed) {
      this.warn(`other hosts asked for our MAC address, were answered, and have sent no packet since: ${advice(port)}`);
    }
    if (delivered > 0 || isAlone || isMissed) this.stop();
    this.asked = asked;
    this.answered = answered;
  }
}
