/**
 * The frontends of the rows `vxlan`: a VM and the network, in one process on one CPU. The VM sends frames to a VM of
 * another host, and the network sends the answers. With a network, frames are there in VXLAN packets; without, the other
 * VM is at the second port. It answers `run MILLISECONDS` with a {@link Run}, and `check MILLISECONDS` with a
 * {@link Check}.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { answerRequests } from '../common/bench-process.js';
import { macBehind } from '../common/embedded-switch.js';
import { type Endpoint, udpFrame } from '../common/frames.js';
import type { Check, Run, Setup } from './rows.js';
import { encapsulated, HERE, isEncapsulated, THERE } from './tunnel.js';
import { isPlain, TunnelEnd } from './tunnel-end.js';

/** Rounds over both ports between two turns of the event loop. */
const ROUNDS = 64;

const { sockets, spec, cpu, hugepages, hasNetwork } = JSON.parse(process.argv[2]) as Setup;
const [vm, other] = [0, 1].map((i): Endpoint => ({ ip: `10.0.0.${i + 1}`, mac: macBehind(i) }));
const [request, answer] = [udpFrame(spec.bytes, vm, other), udpFrame(spec.bytes, other, vm)];

await pinPollingThread(cpu);
const ends = [
  await TunnelEnd.connect(sockets[0], { mac: vm.mac, hugepages, sends: request, expects: answer, isRight: isPlain }),
  hasNetwork
    ? await TunnelEnd.connect(sockets[1], {
        ...{ mac: THERE.mac, hugepages, isRight: isEncapsulated },
        ...{ sends: encapsulated(answer, THERE, HERE), expects: encapsulated(request, HERE, THERE) },
      })
    : await TunnelEnd.connect(sockets[1], {
        ...{ mac: other.mac, hugepages, isRight: isPlain },
        ...{ sends: answer, expects: request },
      }),
] as const;

async function poll(milliseconds: number): Promise<number> {
  const [first, second] = ends;
  const start = performance.now();
  let now = start;
  while (now - start < milliseconds) {
    for (let round = 0; round < ROUNDS; round++) {
      first.send();
      second.send();
      first.receive();
      second.receive();
    }
    await nextTurn();
    now = performance.now();
  }
  return (now - start) / 1000;
}

const received = (): number => ends[0].received + ends[1].received;

async function run(milliseconds: number): Promise<Run> {
  const before = received();
  const seconds = await poll(milliseconds);
  return { frames: received() - before, seconds, isFlowing: ends.every((end) => end.received > 0) };
}

async function check(milliseconds: number): Promise<Check> {
  for (const end of ends) end.startChecking();
  await poll(milliseconds);
  const found = ends.map((end) => end.stopChecking());
  return { right: found.map(({ right }) => right), wrong: found.reduce((sum, { wrong }) => sum + wrong, 0) };
}

process.once('SIGTERM', () => process.exit());
answerRequests(
  ([what, milliseconds]) => (what === 'check' ? check(Number(milliseconds)) : run(Number(milliseconds))),
  () => process.exit(),
);
