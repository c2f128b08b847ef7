/** What the counters of a switch say. */
import type { DropLook, Graph, Look, NodeLook, PortLook } from './look.js';
import { RECEIVED_DROP, SWITCH_REASONS, TUNNEL_REASONS } from './switch-drops.js';
import type { Counters, SwitchTold } from './told.js';

const INPUTS = ['PortInc', 'QueueInc'];
const OUTPUTS = ['PortOut', 'QueueOut'];

export function lookAtSwitch(at: number, told: SwitchTold): Look {
  const { worker, summary } = told;
  const ports = portsOf(told);
  const drops = dropsOf(told);
  const all = (way: 'in' | 'out', what: 'packets' | 'bytes'): number =>
    ports.reduce((sum, port) => sum + port[way][what], 0);
  return {
    at,
    in: { packets: all('in', 'packets'), bytes: all('in', 'bytes') },
    out: { packets: all('out', 'packets'), bytes: all('out', 'bytes') },
    dropped: drops.reduce((sum, { count }) => sum + count, 0),
    ...{ ports, drops },
    threads: [
      {
        ...{ title: 'switch', state: worker.asleep ? 'asleep' : 'awake', busy: worker.busy, idle: worker.idle },
        ...{ in: summary.received, out: summary.forwarded, dropped: summary.dropped.total ?? 0, held: null, rings: [] },
      },
    ],
    graph: graphOf(told),
    noRings: 'A switch has one thread: there are no rings between threads.',
  };
}

const portsOf = ({ ports }: SwitchTold): PortLook[] =>
  Object.entries(ports).map(([name, { description, up, problem, inc, out }]) => ({
    ...{ name, detail: description, isUp: up, problem, in: inc, out },
  }));

/** What a module of a tunnel has dropped, by reason. */
const refusedBy = (counters: Counters): [string, number][] =>
  Object.entries(counters).filter(([name]) => Object.hasOwn(TUNNEL_REASONS, name));

function dropsOf({ summary, ports, modules }: SwitchTold): DropLook[] {
  // What tunnels drop is told by module.
  const { tunnel: _, ...reasons } = SWITCH_REASONS;
  const ofSwitch = Object.entries(reasons).map(([name, reason]) => ({
    ...{ key: `switch ${name}`, where: 'switch', scope: 'switch' as const, reason, count: summary.dropped[name] ?? 0 },
  }));
  const ofModules = modules.flatMap(({ name, class: className, counters }) =>
    refusedBy(counters).map(([reason, count]) => ({
      ...{ key: `module ${name} ${reason}`, where: `${name} (${className})`, scope: 'tunnel' as const, reason, count },
    })),
  );
  const ofPorts = Object.entries(ports).flatMap(([port, { device }]) =>
    Object.entries(device)
      .filter(([name]) => RECEIVED_DROP.test(name))
      .map(([reason, count]) => ({
        ...{ key: `port ${port} ${reason}`, where: `port ${port}, received`, scope: 'port' as const, reason, count },
      })),
  );
  return [...ofSwitch, ...ofModules, ...ofPorts];
}

/** Modules and gates. The modules at the ends have the names of their ports. */
function graphOf({ ports, modules }: SwitchTold): Graph {
  const nodes = modules.map(({ name, class: className, desc, deadends, counters }): NodeLook => {
    const kind = INPUTS.includes(className) ? 'in' : OUTPUTS.includes(className) ? 'out' : 'module';
    const port = kind === 'module' ? undefined : Object.keys(ports).find((own) => isOn(desc, own));
    const about = port === undefined ? undefined : ports[port];
    const refused = refusedBy(counters).reduce((sum, [, count]) => sum + count, deadends);
    const dropped = kind === 'out' ? (about?.out.dropped ?? 0) : kind === 'in' ? (about?.inc.dropped ?? 0) : refused;
    return {
      ...{ id: name, title: port ?? name, kind, thread: null, dropped },
      ...{
        detail: kind === 'module' ? className : kind === 'in' ? 'sends' : 'receives',
        about: `${className} ${desc}`,
      },
      state: about === undefined || about.up ? 'up' : 'down',
    };
  });
  const edges = modules.flatMap(({ name, gates }) =>
    gates.map(({ gate, to, packets, bytes }) => ({
      from: name,
      to,
      gate: String(gate),
      packets,
      bytes,
      hasBytes: true,
    })),
  );
  return { nodes, edges };
}

/** Whether the description of a module at an end (`vm1:0/PMDPort`) is of the port. */
const isOn = (desc: string, port: string): boolean => desc.startsWith(`${port}:`) || desc.startsWith(`${port}/`);
