/**
 * Whether anybody hears us, for people: a MAC address that the switch does not know, which is how most first tries fail, shows
 * as silence alone.
 */
import { type Core, formatMac, type Port, parseIpv4 } from '../index.js';

/** How often {@link ArpWatch} looks. A neighbour that has not answered between two looks had a second at least. */
const LOOK_MS = 2000;

/** Our MAC address, and who chose it. */
function ownMac({ config, mac }: Port): string {
  const address = `our MAC address ${formatMac(mac)}`;
  if (config.mac !== undefined) return `${address} (--mac)`;
  // A vhost-user backend has none for us.
  const chosen = config.device.startsWith('vhost-user:') ? 'was chosen at random' : 'is the one of the device';
  return `${address} ${chosen}; --mac sets another`;
}

/** What to look at when answers do not come. */
function advice(port: Port): string {
  return `${ownMac(port)}: a switch whose table does not have it drops what is sent to it`;
}

const unanswered = (requests: number): string =>
  `ARP was never answered (${requests} ${requests === 1 ? 'request' : 'requests'})`;

/** Why nothing came back from `to`, of which ping has had no answer: ARP, or the echo itself. One line. */
export function whyNoAnswer(port: Port, core: Core, to: string): string {
  const { tx_drop_no_route: noRoute = 0, arp_requests: requests = 0 } = port.counters();
  if (noRoute > 0) return `no way to ${to}: it is not on our link, and there is no --gateway`;
  const hop = core.nextHopMac(parseIpv4(to));
  if (hop !== null) {
    return `ARP has the address ${formatMac(hop)} for it, but no echo reply came: does it answer pings? ${advice(port)}`;
  }
  const who = port.config.gateway === undefined ? to : `${to} or the gateway`;
  return `${unanswered(requests)}: is ${who} there? ${advice(port)}`;
}

/** Looks at a running port's ARP, and warns once of each way in which it can be of no use. */
export class ArpWatch {
  private readonly timer: NodeJS.Timeout;
  /** As they were at the last look. */
  private asked = 0;
  private answered = 0;

  /** @param warn takes one line */
  constructor(
    private readonly port: Port,
    private readonly warn: (line: string) => void,
  ) {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const { port } = this;
    const { arp_requests: asked = 0, arp_answered: answered = 0, ...counters } = port.counters();
    const { arp_learned: learned = 0, arp_confirmed: confirmed = 0, rx_delivered: delivered = 0 } = counters;
    const isAlone = this.asked > 0 && learned + confirmed === 0;
    const isMissed = this.answered > 0 && port.config.mac === undefined;
    if (delivered === 0 && isAlone) {
      this.warn(`${unanswered(asked)}: is anybody there? ${advice(port)}`);
    } else if (delivered === 0 && isMissed) {
      this.warn(`others asked for us by ARP and were answered, but have sent no packet since: ${advice(port)}`);
    }
    if (delivered > 0 || isAlone || isMissed) this.stop();
    this.asked = asked;
    this.answered = answered;
  }
}
