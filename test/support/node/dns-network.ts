/** A host with a resolver, and scripted DNS servers, in virtual time. */
import { type Resolution, Resolver, type ResolverOptions } from '../../../src/node/dns/resolver.js';
import type { Timers } from '../../../src/node/dns/time.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import type { Host } from '../tcpip/sim/host.js';
import { Simulation } from '../tcpip/sim/simulation.js';
import { DnsServer, type Script } from './dns-server.js';

/** The timers of a simulation. */
export function simTimers(sim: Simulation): Timers {
  return {
    now: () => sim.now,
    after(ms, call) {
      let isCancelled = false;
      sim.after(ms, () => {
        if (!isCancelled) call();
      });
      return () => {
        isCancelled = true;
      };
    },
  };
}

export class DnsNetwork {
  readonly servers: DnsServer[] = [];
  private readonly others: TcpIp[] = [];

  private constructor(
    readonly sim: Simulation,
    readonly net: TcpIp,
    readonly resolver: Resolver,
    readonly timers: Timers,
  ) {}

  /** @param scripts one per server; null for a host where nothing listens */
  static async open(
    scripts: readonly (Script | null)[],
    options: Partial<ResolverOptions> & { readonly seed?: number } = {},
  ): Promise<DnsNetwork> {
    const { seed = 1, ...rest } = options;
    const sim = new Simulation({ seed });
    const hub = sim.hub();
    const stacks: TcpIp[] = [];
    const hosts: Host[] = [];
    for (let i = 0; i <= scripts.length; i++) {
      const host = await sim.host();
      const net = new TcpIp(host.core, { seed: seed + i });
      host.stack = net;
      sim.link(host, hub, { delayMs: 5 });
      stacks.push(net);
      hosts.push(host);
    }
    const [own, ...others] = stacks as [TcpIp, ...TcpIp[]];
    const addresses = hosts.slice(1).map(({ address }) => address);
    const timers = simTimers(sim);
    const resolver = new Resolver({
      ...{ udp: own.udp, tcp: own.tcp, servers: addresses, timers },
      flush: () => sim.wake(),
      ...rest,
    });
    const network = new DnsNetwork(sim, own, resolver, timers);
    network.others.push(...others);
    others.forEach((net, i) => {
      const script = scripts[i]!;
      if (script !== null) network.servers.push(new DnsServer(net, script));
    });
    return network;
  }

  /** Looks a name up, and lets time pass until there is an answer. */
  lookup(name: string): Resolution {
    return this.lookups(name)[0]!;
  }

  /** Looks names up at the same time. */
  lookups(...names: string[]): Resolution[] {
    const found: Resolution[] = [];
    let left = names.length;
    this.sim.at(this.sim.now, () => {
      names.forEach((name, i) => {
        this.resolver.lookup(name, (resolution) => {
          if (found[i] !== undefined) throw new Error(`${name} was answered twice`);
          found[i] = resolution;
          left--;
        });
      });
    });
    this.sim.runUntil(() => left === 0, 600_000);
    if (left > 0) throw new Error(`${left} of ${names.join(', ')} have no answer`);
    return found;
  }

  /**
   * A server sends a datagram of its own.
   * @param server 0 is the first one
   * @param to the port of the resolver
   */
  forge(server: number, bytes: Uint8Array, to: number, fromPort: number): void {
    const net = this.others[server]!;
    const peer = { address: this.sim.hosts[0]!.address, port: to };
    const socket = net.udp.bind({ port: fromPort, peer }, {});
    socket.send(bytes);
    socket.close();
  }

  /** The counters that are not 0. */
  counted(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.resolver.report()).filter(([, value]) => value !== 0));
  }
}
