/**
 * Scenarios for sockets and servers: each runs over the kernel's loopback and over the stack, and both runs must look
 * the same to every party.
 */
import type { EventEmitter } from 'node:events';
import net from 'node:net';
import type { Net } from '../../../src/node/net/make-net.js';
import { type CabledHosts, SERVER_ADDRESS } from './cabled-hosts.js';
import { Recorder } from './recorder.js';

/** A module like `node:net`: the kernel's, or that of a host. */
export type AnyNet = Omit<Net, 'overHost'>;

/** One end of the network. */
export interface Pair {
  readonly server: net.Server;
  readonly port: number;
  readonly client: net.Socket;
  readonly accepted: net.Socket;
}

/** Resolves with the arguments of the next event. Unlike `events.once` it adds no listener for errors. */
export function when(emitter: EventEmitter, event: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(event, (...args: unknown[]) => resolve(args)));
}

/** Lets the event loop turn, so that what is under way can arrive. */
export const settle = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class World {
  readonly log = new Recorder();
  private names = 0;
  private readonly opened: { destroy?(): void; close?(): void }[] = [];

  constructor(
    /** Whose sockets connect. */
    readonly client: AnyNet,
    /** Whose servers listen. */
    readonly server: AnyNet,
    /** Where clients reach servers. */
    readonly address: string,
    /** Makes any server of Node one of {@link server}. */
    readonly overHost: Net['overHost'],
  ) {}

  /** Names parties that are of the same kind. */
  nextName(kind: string): string {
    return `${kind} ${++this.names}`;
  }

  note(who: string, ...what: unknown[]): void {
    this.log.note(who, ...what);
  }

  watch<Emitter extends EventEmitter>(who: string, emitter: Emitter): Emitter {
    this.opened.push(emitter as { destroy?(): void });
    return this.log.watch(who, emitter);
  }

  watchOnly<Emitter extends EventEmitter>(who: string, emitter: Emitter, events: readonly string[]): Emitter {
    this.opened.push(emitter as { destroy?(): void });
    return this.log.watchOnly(who, emitter, events);
  }

  state(who: string, when: string, socket: net.Socket): void {
    this.log.state(who, when, socket);
  }

  /** Events that are not written down: their number or order is not Node's doing. */
  ignore(...events: string[]): void {
    for (const event of events) this.log.ignored.add(event);
  }

  /** Resolves when all of them, which are watched, have closed. */
  closed(...emitters: EventEmitter[]): Promise<void> {
    return this.log.closed(...emitters);
  }

  /** A server that is written down as `server`, and its sockets as `accepted`. */
  createServer(options: net.ServerOpts = {}, onSocket: (socket: net.Socket) => void = () => {}): net.Server {
    const server = this.watch('server', this.server.createServer(options));
    return server.on('connection', (socket) => onSocket(this.watch('accepted', socket)));
  }

  /** Listens on a free port, and returns it. */
  async listen(server: net.Server): Promise<number> {
    server.listen(0, this.isKernel ? this.address : undefined);
    await when(server, 'listening');
    return portOf(server);
  }

  get isKernel(): boolean {
    return this.server === net;
  }

  /** A socket that connects, written down as `client`. */
  connect(port: number, options: Partial<net.TcpNetConnectOpts> = {}, who = 'client'): net.Socket {
    return this.watch(who, this.client.connect({ port, host: this.address, ...options } as net.TcpNetConnectOpts));
  }

  /** A server, a client, and the connection between them. */
  async pair(serverOptions: net.ServerOpts = {}, clientOptions: Partial<net.TcpNetConnectOpts> = {}): Promise<Pair> {
    const server = this.createServer(serverOptions);
    const port = await this.listen(server);
    const accepting = when(server, 'connection');
    const client = this.connect(port, clientOptions);
    const [[accepted]] = await Promise.all([accepting, when(client, 'connect')]);
    return { server, port, client, accepted: accepted as net.Socket };
  }

  /** Ends what the scenario has left. */
  cleanUp(): void {
    for (const one of this.opened) {
      if (typeof one.destroy === 'function') one.destroy();
      else one.close?.();
    }
  }
}

export function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

export interface Scenario {
  readonly title: string;
  act(world: World): Promise<void>;
}

/** A list of scenarios, by title. */
export function scenarios(all: Record<string, (world: World) => Promise<void>>): Scenario[] {
  return Object.entries(all).map(([title, act]) => ({ title, act }));
}

const sameServer = <Server extends net.Server>(server: Server): Server => server;

/** How many turns of the event loop nothing is written down before a scenario counts as over. */
const QUIET_TURNS = 50;
const MOST_TURNS = 100_000;

/** Lets what is under way arrive. It takes turns of the event loop, and not time, however busy the machine is. */
async function quiet({ log }: World): Promise<void> {
  let turns = 0;
  let lines = log.lines;
  for (let i = 0; turns < QUIET_TURNS && i < MOST_TURNS; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    turns = log.lines === lines ? turns + 1 : 0;
    lines = log.lines;
  }
}

async function run(world: World, { act }: Scenario): Promise<Record<string, string[]>> {
  try {
    await act(world);
    await quiet(world);
    return world.log.all;
  } finally {
    world.cleanUp();
  }
}

export function runOnKernel(scenario: Scenario): Promise<Record<string, string[]>> {
  return run(new World(net, net, '127.0.0.1', sameServer), scenario);
}

/** Clients on one host, servers on another. */
export function runOnStack({ client, server }: CabledHosts, scenario: Scenario): Promise<Record<string, string[]>> {
  return run(new World(client.net, server.net, SERVER_ADDRESS, server.net.overHost), scenario);
}

/** Clients and servers on the same host, whose stack delivers to itself. */
export function runOnOneHost({ server }: CabledHosts, scenario: Scenario): Promise<Record<string, string[]>> {
  return run(new World(server.net, server.net, SERVER_ADDRESS, server.net.overHost), scenario);
}
