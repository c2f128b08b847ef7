/**
 * The layouts single, 1kb and 2kb on one thread. A packet costs there what it costs all threads together, without
 * moving cache lines between CPUs. A pass is a fixed number of packets, so that all layouts do the same work.
 *
 * With rings, the device gets a turn (it receives a burst, and sends the waiting packets), and then each core for which
 * a whole burst waits. The flows determine which core that is, so the order of turns is computed before and costs
 * nothing.
 */

import { BURST } from '../../src/link/bursts/tx-burst.js';
import { SingleCore } from '../../src/link/single-core.js';
import { IndirectionTable } from '../../src/rss/indirection-table.js';
import { Rss } from '../../src/rss/rss.js';
import { Interconnect } from '../../src/threads/shared/interconnect.js';
import { flowOf, strideOf } from './endless-nic.js';
import { nicFor, PERIOD, planFor, ringCore, rxLoop, txLoop } from './make-loops.js';
import { LINK } from './network.js';
import { Reflector } from './reflector.js';
import { Relay } from './relay.js';

/** `rings-…` has relays instead of cores. */
export type Mode = 'single' | '1kb' | '2kb' | 'rings-1kb' | 'rings-2kb';

export interface Layout {
  /** Number of packets in a pass. */
  readonly packets: number;
  /** Moves the packets of one pass from the device to a stack and back. */
  pass(): void;
  /** Returns how many received packets were neither sent nor are on their way. */
  lost(): number;
}

const PASS_BURSTS = PERIOD / BURST;
/** Stands for the device in a schedule. */
const DEVICE = 255;

export function openLayout(mode: Mode, cores: number, flows: number): Layout {
  return mode === 'single' ? openSingle(cores, flows) : openRings(mode, cores, flows);
}

function openSingle(cores: number, flows: number): Layout {
  const nic = nicFor(cores, flows, false);
  const core = new SingleCore(nic, { ...LINK, idle: 'spin' });
  const stack = new Reflector(core);
  return {
    packets: PERIOD,
    pass() {
      for (let burst = 0; burst < PASS_BURSTS; burst++) stack.poll();
    },
    lost: () => nic.received - nic.transmitted - core.held().pending,
  };
}

function openRings(mode: Exclude<Mode, 'single'>, cores: number, flows: number): Layout {
  const plan = planFor(cores);
  const nic = nicFor(cores, flows, true);
  const interconnect = Interconnect.create(plan, mode.endsWith('2kb'));
  const rss = new Rss(nic.memory, {}, IndirectionTable.create(cores));
  const rx = rxLoop(nic, interconnect, rss.share());
  const tx = txLoop(nic, interconnect, rx);
  const each = <T>(make: (core: number) => T): T[] => Array.from({ length: cores }, (_, core) => make(core));
  const isBare = mode.startsWith('rings-');
  const ringCores = isBare ? [] : each((core) => ringCore(interconnect, core, nic.memory, rss.share()));
  const stacks = isBare ? each((core) => new Relay(interconnect, core)) : ringCores.map((core) => new Reflector(core));
  const turns = schedule(rss, cores, flows);
  /** Number of bursts that the device has delivered before their turn. */
  let ahead = 0;
  return {
    packets: PERIOD,
    pass() {
      for (let i = 0; i < turns.length; i++) {
        const core = turns[i];
        if (core !== DEVICE) {
          stacks[core].poll();
        } else if (--ahead <= 0) {
          // The loop may have taken more than one burst. Then the device's next turns are done already.
          ahead = rx.poll() / BURST;
          tx.poll();
        }
      }
    },
    lost() {
      const queued = [...interconnect.rings('rxQueue'), ...interconnect.rings('txQueue')];
      const heldBack = each((core) => rx.queues.rings.waiting(core));
      const held = ringCores.map((core) => core.held()).map(({ waiting, pending }) => waiting + pending);
      const counts = [...queued.map(({ count }) => count), ...heldBack, ...held];
      const onTheirWay = counts.reduce((sum, count) => sum + count, 0);
      return nic.received - nic.transmitted - onTheirWay;
    },
  };
}

/**
 * Returns the turns of a pass: the device, and each core when a burst waits for it; at the end, each core with packets.
 */
function schedule(rss: Rss, cores: number, flows: number): Uint8Array {
  const turns: number[] = [];
  const waiting = new Uint32Array(cores);
  const stride = strideOf(flows);
  let flow = 0;
  for (let burst = 0; burst < PASS_BURSTS; burst++) {
    turns.push(DEVICE);
    for (let i = 0; i < BURST; i++) {
      waiting[rss.coreForFlow(flowOf(flow))]++;
      flow = (flow + stride) % flows;
    }
    for (let core = 0; core < cores; core++) {
      if (waiting[core] < BURST) continue;
      waiting[core] -= BURST;
      turns.push(core);
    }
  }
  for (let core = 0; core < cores; core++) if (waiting[core] > 0) turns.push(core, core);
  return Uint8Array.from(turns);
}
