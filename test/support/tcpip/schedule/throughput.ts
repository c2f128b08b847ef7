/** How much data flows over a simulated path: one or several senders, one receiver, one bottleneck. */
import { TcpIp, type TcpIpOptions } from '../../../../src/tcpip/index.js';
import type { TcpOptions } from '../../../../src/tcpip/tcp/settings.js';
import type { Connection, ConnectionInfo } from '../../../../src/tcpip/tcp/state/api.js';
import type { PathOptions } from '../sim/path.js';
import { Simulation } from '../sim/simulation.js';

export interface Measurement {
  readonly seed?: number;
  /** The bottleneck, in the direction of the data. */
  readonly path: PathOptions;
  /** The way back of the ACKs. Default: the same delay and rate, no faults. */
  readonly back?: PathOptions;
  /** Options of each flow, one flow per entry; each has a host of its own. Default: one flow. */
  readonly flows?: readonly TcpOptions[];
  /** Options of the receiver. */
  readonly receiver?: TcpOptions;
  /** When each flow starts, in ms. Default: all at 0. */
  readonly startMs?: readonly number[];
  /** The data that arrive from `fromMs` until `toMs` are counted. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly mtu?: number;
  readonly buffers?: number;
  /** Options of the stacks. */
  readonly stack?: TcpIpOptions;
}

export interface Measured {
  /** Data per flow, in bits per second. */
  readonly rates: number[];
  /** What each sender tells at the end. */
  readonly infos: ConnectionInfo[];
  /** The frames that the bottleneck has lost and dropped. */
  readonly lost: number;
  readonly overflowed: number;
  readonly packets: number;
}

const PORT = 5001;
const DATA = new Uint8Array(256 * 1024);

export async function measure(what: Measurement): Promise<Measured> {
  const { path, flows = [{}], fromMs, toMs, buffers = 16_384, startMs = [] } = what;
  const back = what.back ?? { delayMs: path.delayMs ?? 0, bitsPerSecond: path.bitsPerSecond ?? 1e11 };
  const sim = new Simulation({ seed: what.seed ?? 1, ...(what.mtu === undefined ? {} : { mtu: what.mtu }) });
  const stackOptions = (seed: number) => ({ seed, ...what.stack });
  const server = await sim.host({ buffers, rxRing: 4096 });
  const hub = sim.hub();
  const bottleneck = sim.link(hub, server, path, back);
  const receiver = new TcpIp(server.core, stackOptions(1));
  server.stack = receiver;
  const received = flows.map(() => 0);
  // Flows tell their number with their port.
  const number = (connection: Connection): number => connection.remotePort - PORT - 1;
  receiver.tcp.listen(
    { port: PORT, ...what.receiver },
    {
      data: (connection, _bytes, _offset, length) => {
        received[number(connection)]! += length;
      },
    },
  );
  const fill = (connection: Connection): void => {
    while (connection.write(DATA) === DATA.length) {}
  };
  const connections: Connection[] = [];
  for (const [i, options] of flows.entries()) {
    const client = await sim.host({ buffers, rxRing: 4096 });
    sim.link(client, hub);
    const net = new TcpIp(client.core, stackOptions(2 + i));
    client.stack = net;
    sim.at(startMs[i] ?? 0, () => {
      const to = { address: server.address, port: PORT, localPort: PORT + 1 + i };
      connections[i] = net.tcp.connect({ ...to, ...options }, { open: fill, drain: fill });
    });
  }
  sim.run(fromMs);
  const before = [...received];
  sim.run(toMs - fromMs);
  const seconds = (toMs - fromMs) / 1000;
  const { lost, overflowed } = bottleneck.there.counters;
  const infos = connections.map((connection) => connection.info());
  const packets = sim.arrived;
  await sim.stop();
  return { rates: received.map((bytes, i) => ((bytes - before[i]!) * 8) / seconds), infos, lost, overflowed, packets };
}
