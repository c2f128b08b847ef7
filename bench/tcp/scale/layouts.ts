/**
 * The layouts 1kb and 2kb with TCP on one thread: the receiving loop, the stack cores and the sending loop take turns. A
 * request costs there what it costs all threads together, without moving cache lines between CPUs.
 *
 * The loops get a turn, and then each core for which a burst of requests waits.
 */
import { IndirectionTable } from '../../../src/rss/indirection-table.js';
import { Rss } from '../../../src/rss/rss.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import { Interconnect } from '../../../src/threads/shared/interconnect.js';
import { memoryBytes, viewsOf } from '../../common/memory-nic.js';
import { planFor, ringCore, rxLoop, txLoop } from '../../pipeline/make-loops.js';
import { Clients, createClients, SERVER_PORT, tupleOf } from './client.js';
import { ClientNic } from './client-nic.js';
import { TcpRelay } from './relay.js';

export type Mode = '1kb' | '2kb';

/** Connections of all cores together: with 64 cores, each has at least a burst of them. */
export const CONNECTIONS = 4096;
/** How fast the clock of the stacks runs. */
const MS_PER_REQUEST = 0.001;
/** Turns until the connections must be open. */
const MOST_TURNS = 100_000;

export interface ScaleLayout {
  /** Gives the loops so many turns, and the cores theirs. Returns how many responses have come. */
  run(turns: number): number;
  /** What went wrong since the start; empty: nothing. */
  faults(): string;
}

/** Makes the server of a core: it sends every byte back. */
export function echoServer(core: ReturnType<typeof ringCore>): TcpIp {
  const net = new TcpIp(core);
  net.tcp.listen(
    { port: SERVER_PORT, backlog: CONNECTIONS, noDelay: true },
    { data: (c, bytes, offset, length) => void c.write(bytes, offset, length) },
  );
  return net;
}

/** The core of each connection. */
export const coresOf = (rss: Rss, connections: number): Uint8Array =>
  Uint8Array.from({ length: connections }, (_, connection) => rss.coreForFlow(tupleOf(connection)));

/**
 * Opens a layout, and its connections.
 * @param stacks whether the cores run the TCP/IP stack; otherwise relays take their place
 * @throws Error when the connections cannot be opened
 */
export function openScale(mode: Mode, cores: number, stacks: boolean): ScaleLayout {
  const plan = planFor(cores);
  const memory = viewsOf(new SharedArrayBuffer(memoryBytes(plan.buffers)));
  const interconnect = Interconnect.create(plan, mode === '2kb');
  const rss = new Rss(memory, {}, IndirectionTable.create(cores));
  const clients = new Clients(memory, createClients(CONNECTIONS));
  const nic = new ClientNic(memory, clients, plan, coresOf(rss, CONNECTIONS), true);
  const rx = rxLoop(nic, interconnect, rss.share());
  const tx = txLoop(nic, interconnect, rx);
  const each = <T>(make: (core: number) => T): T[] => Array.from({ length: cores }, (_, core) => make(core));
  // A clock that stands still while other layouts are measured: otherwise every response would be sent again.
  const clock = (): number => clients.answered * MS_PER_REQUEST;
  const servers = stacks ? each((core) => echoServer(ringCore(interconnect, core, memory, rss.share(), clock))) : [];
  const polled = stacks ? servers : each((core) => new TcpRelay(interconnect, core, memory));

  const turn = (): void => {
    const received = rx.poll();
    const { dueCount } = nic;
    for (let i = 0; i < dueCount; i++) polled[nic.due[i]].poll();
    nic.dueCount = 0;
    // All connections wait for a core that has no whole burst.
    if (received === 0) for (let core = 0; core < cores; core++) polled[core].poll();
    tx.poll();
  };
  for (let turns = 0; clients.open < CONNECTIONS; turns++) {
    if (turns === MOST_TURNS) throw new Error(`${clients.open} of ${CONNECTIONS} connections were opened`);
    turn();
  }
  return {
    run(turns) {
      const before = clients.answered;
      for (let i = 0; i < turns; i++) turn();
      return clients.answered - before;
    },
    faults() {
      const resent = servers.reduce((sum, { tcp }) => sum + tcp.report().tcp_retransmitted_segments, 0);
      const found = { 'wrong segments': clients.wrong, 'segments sent again': resent };
      const some = Object.entries(found).filter(([, count]) => count > 0);
      return some.map(([what, count]) => `${count} ${what}`).join(', ');
    },
  };
}
