/**
 * The frontends of `bench -- switch`: one driver per port, all in one process on one CPU. With unicast, each port sends
 * to the next one; with broadcast, the first port sends to all. It answers `run MILLISECONDS` with a
 * {@link Run}.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { parseMac } from '../../src/wire/address.js';
import { answerRequests } from '../common/bench-process.js';
import { macBehind } from '../common/embedded-switch.js';
import { udpFrame } from '../common/frames.js';
import { patiently } from './patiently.js';
import { BROADCAST, type Run, type Setup } from './rows.js';

const BURST = 32;
/** Length of the destination and the source address in 16-bit words. */
const ADDRESS_WORDS = 6;
/** Rounds over all ports between two turns of the event loop. */
const ROUNDS = 64;

const { sockets, spec, cpu, hugepages } = JSON.parse(process.argv[2]) as Setup;
const handles = new Uint32Array(BURST);
const frameLengths = new Uint32Array(BURST).fill(spec.bytes);

class Vm {
  received = 0;
  private readonly words: Uint16Array;

  constructor(
    readonly device: VirtioNetDevice,
    private readonly addresses: Uint16Array,
  ) {
    this.words = device.memory.u16;
  }

  static async connect(socket: string, port: number, frame: Uint8Array): Promise<Vm> {
    const mac = parseMac(macBehind(port));
    const policy = hugepages ? 'require' : 'never';
    // The rings are shorter than the default, so that those of all ports fit into one cache.
    const options = { mac, hugepages: policy, queueSize: 256 } as const;
    const device = await patiently(() => VirtioNetDevice.open(new VhostUserFrontend(socket), options));
    const { pool, memory } = device;
    const { count } = pool.geometry;
    for (let handle = 0; handle < count; handle++) memory.u8.set(frame, pool.offsetOf(handle) + FRAME_OFFSET);
    return new Vm(device, new Uint16Array(frame.slice(0, 2 * ADDRESS_WORDS).buffer));
  }

  send(): void {
    const { device, words, addresses } = this;
    const { pool } = device;
    if (pool.available < BURST) device.reclaimTx();
    if (pool.available < BURST) return;
    for (let i = 0; i < BURST; i++) {
      const handle = pool.get();
      handles[i] = handle;
      // A received frame has overwritten the addresses in the buffer.
      const start = (pool.offsetOf(handle) + FRAME_OFFSET) >>> 1;
      for (let word = 0; word < ADDRESS_WORDS; word++) words[start + word] = addresses[word];
    }
    const taken = device.txBurst(handles, frameLengths, BURST);
    for (let i = taken; i < BURST; i++) pool.put(handles[i]);
  }

  receive(): void {
    const { device } = this;
    const count = device.rxBurst(BURST);
    for (let i = 0; i < count; i++) device.pool.put(device.rxHandles[i]);
    this.received += count;
  }
}

await pinPollingThread(cpu);
const { traffic, ports } = spec;
const vms: Vm[] = [];
for (let port = 0; port < ports; port++) {
  const to = traffic === 'broadcast' ? BROADCAST : macBehind((port + 1) % ports);
  const from = { ip: `10.0.0.${port + 1}`, mac: macBehind(port) };
  vms.push(await Vm.connect(sockets[port], port, udpFrame(spec.bytes, from, { ip: '10.0.0.100', mac: to })));
}
const senders = traffic === 'broadcast' ? vms.slice(0, 1) : vms;
// Broadcasts that a switch sends back to their sender do not count.
const counted = traffic === 'broadcast' ? vms.slice(1) : vms;

function total(): number {
  let received = 0;
  for (const vm of counted) received += vm.received;
  return received;
}

async function run(milliseconds: number): Promise<Run> {
  const start = performance.now();
  const before = total();
  let now = start;
  while (now - start < milliseconds) {
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < senders.length; i++) senders[i].send();
      for (let i = 0; i < vms.length; i++) vms[i].receive();
    }
    await nextTurn();
    now = performance.now();
  }
  const isFlowing = counted.every(({ received }) => received > 0);
  return { frames: total() - before, seconds: (now - start) / 1000, isFlowing };
}

process.once('SIGTERM', () => process.exit());
answerRequests(
  ([, milliseconds]) => run(Number(milliseconds)),
  () => process.exit(),
);
