/** Two ends of UDP: both on the kernel's loopback, or on two stacks that a cable joins. The same scenarios run on both. */
import dgram, { type Socket } from 'node:dgram';
import { makeDgram } from '../../../src/node/dgram/make-dgram.js';
import { NetHost } from '../../../src/node/host.js';
import { join, openStation, type Station, type Time } from '../tcpip/limits/station.js';

/** One end. */
export interface DgramEnd {
  readonly createSocket: typeof dgram.createSocket;
  readonly address: string;
}

export interface DgramLab {
  readonly server: DgramEnd;
  readonly client: DgramEnd;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';

export function kernelLab(): DgramLab {
  const end: DgramEnd = { createSocket: dgram.createSocket, address: LOOPBACK };
  return { server: end, client: end, close: async () => {} };
}

export class StackLab implements DgramLab {
  readonly server: DgramEnd;
  readonly client: DgramEnd;
  private isClosed = false;

  private constructor(
    readonly time: Time,
    readonly stations: readonly [Station, Station],
    readonly hosts: readonly [NetHost, NetHost],
  ) {
    const [server, client] = hosts.map((host) => ({
      createSocket: makeDgram(() => host).createSocket,
      address: host.address,
    }));
    this.server = server!;
    this.client = client!;
    this.pump();
  }

  static async open(): Promise<StackLab> {
    const time = { now: performance.now() };
    const stations = [await openStation({ number: 1, time }), await openStation({ number: 2, time })] as const;
    join(stations[0], stations[1]);
    const hosts = [new NetHost(stations[0].core), new NetHost(stations[1].core)] as const;
    return new StackLab(time, stations, hosts);
  }

  /** How many sockets both stacks have. */
  get sockets(): number {
    return this.hosts.reduce((sum, { stack }) => sum + stack.udp.sockets, 0);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const host of this.hosts) host.refs.close();
    for (const { port } of this.stations) await port.stop();
  }

  /** Polls both stacks once per turn of the event loop. */
  private readonly pump = (): void => {
    if (this.isClosed) return;
    this.time.now = performance.now();
    for (const { stack } of this.hosts) stack.poll();
    for (const { core } of this.stations) core.flush();
    setImmediate(this.pump);
  };
}

/** What happened to one socket: the same on both labs. */
export class EventLog {
  private readonly lines = new Map<string, string[]>();

  /** Notes all events of a socket. */
  watch(name: string, socket: Socket): void {
    socket.on('listening', () => this.add(name, `listening ${text(socket.address())}`));
    socket.on('connect', () => this.add(name, `connect ${text(socket.remoteAddress())}`));
    socket.on('message', (message, from) => this.add(name, `message ${digest(message)} ${text(from)}`));
    socket.on('error', (error) => this.add(name, `error ${text(error)}`));
    socket.on('close', () => this.add(name, 'close'));
  }

  add(name: string, line: string): void {
    this.lines.set(name, [...(this.lines.get(name) ?? []), line]);
  }

  /** Notes what a call returns or throws. */
  call(name: string, what: string, act: () => unknown): void {
    try {
      this.add(name, `${what}: ${text(act())}`);
    } catch (error) {
      this.add(name, `${what} throws ${text(error)}`);
    }
  }

  /** Returns a callback that notes its arguments. */
  callback(name: string, what: string): (...args: unknown[]) => void {
    return (...args) => this.add(name, `${what} -> ${args.map(text).join(', ')}`);
  }

  get all(): Record<string, string[]> {
    return Object.fromEntries(this.lines);
  }
}

/** Addresses and ports that differ between the labs are told apart from 0 only. */
function text(value: unknown): string {
  if (value instanceof Error) {
    const { name, message, errno, code, syscall, address, port } = value as NodeJS.ErrnoException & UdpFields;
    return plain(JSON.stringify({ name, message, errno, code, syscall, address, port }));
  }
  if (typeof value === 'object' && value !== null && 'createSocket' in value) return 'lab';
  if (value instanceof dgram.Socket) return 'socket';
  return plain(JSON.stringify(value) ?? 'undefined');
}

interface UdpFields {
  address?: string;
  port?: number;
}

const plain = (json: string): string =>
  json
    .replace(/127\.0\.0\.1|10\.0\.0\.[12]\b/g, 'ADDRESS')
    .replace(/"port":[1-9]\d*/g, '"port":PORT')
    .replace(/:[1-9]\d{3,4}\b/g, ':PORT');

function digest(message: Buffer): string {
  let sum = 0;
  for (const byte of message) sum = (Math.imul(sum, 31) + byte) | 0;
  return `${message.length} bytes ${sum}`;
}
