/**
 * Forwards packets between two tap interfaces whose devices have offloads, as they come: so two kernels exchange packets
 * of 64 KB through our driver. `tap-forwarder.main.js TAP TAP RECEIVE`; with RECEIVE `off` both devices are told to
 * receive no offloads. Prints `ready`; on SIGTERM one line of JSON, with what each device has received.
 */
import type { NetDevice } from '../../../drivers/net-device.js';
import { TapNetDevice } from '../../../drivers/transports/tap-net-device.js';
import { FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import * as table from '../../../rings/packet-table.js';

const BURST = 32;
const { CHAIN, CSUM_OFFSET, CSUM_START, ENTRY_SHIFT, FLAGS, GSO, GSO_SIZE, LAST, LENGTH, NEXT, START, TOTAL } = table;

const [first, second, receive] = process.argv.slice(2) as [string, string, 'on' | 'off'];
const options = { buffers: 2048, hugepages: 'never', offloads: 'auto' } as const;
const devices = [TapNetDevice.open(first, options), TapNetDevice.open(second, options)] as const;
const seen = devices.map(() => ({ packets: 0, gso: 0, chains: 0, partial: 0, longest: 0 }));

/** Copies a packet into buffers of the other device, part by part. Returns its handle there, or NO_BUFFER. */
function copy(from: NetDevice, handle: number, length: number, to: NetDevice): number {
  const parts: number[] = [];
  const isChain = (from.table.words[handle << ENTRY_SHIFT]! & CHAIN) !== 0;
  for (let part = handle; part !== LAST; part = isChain ? from.table.words[(part << ENTRY_SHIFT) + NEXT]! : LAST) {
    const target = to.pool.get();
    if (target === NO_BUFFER) {
      for (const each of parts) to.pool.put(each);
      return NO_BUFFER;
    }
    const [source, entry] = [part << ENTRY_SHIFT, target << ENTRY_SHIFT];
    const start = isChain ? from.table.words[source + START]! : FRAME_OFFSET;
    const bytes = isChain ? from.table.words[source + LENGTH]! : length;
    const at = from.pool.offsetOf(part) + start;
    to.memory.u8.set(from.memory.u8.subarray(at, at + bytes), to.pool.offsetOf(target) + start);
    to.table.words[entry + START] = start;
    to.table.words[entry + LENGTH] = bytes;
    to.table.words[entry + NEXT] = LAST;
    const last = parts.at(-1);
    if (last !== undefined) to.table.words[(last << ENTRY_SHIFT) + NEXT] = target;
    parts.push(target);
  }
  const copied = parts[0]!;
  for (const word of [FLAGS, TOTAL, GSO_SIZE, CSUM_START, CSUM_OFFSET]) {
    to.table.words[(copied << ENTRY_SHIFT) + word] = from.table.words[(handle << ENTRY_SHIFT) + word]!;
  }
  return copied;
}

const handles = new Uint32Array(1);
const lengths = new Uint32Array(1);

function pump(from: NetDevice, to: NetDevice, counts: (typeof seen)[number]): number {
  const count = from.rxBurst(BURST);
  for (let i = 0; i < count; i++) {
    const handle = from.rxHandles[i]!;
    const flags = from.table.words[handle << ENTRY_SHIFT]!;
    counts.packets++;
    if ((flags & GSO) !== 0) counts.gso++;
    if ((flags & CHAIN) !== 0) counts.chains++;
    if ((flags & table.CHECKSUM_PARTIAL) !== 0) counts.partial++;
    const total = (flags & CHAIN) !== 0 ? from.table.words[(handle << ENTRY_SHIFT) + TOTAL]! : from.rxLengths[i]!;
    counts.longest = Math.max(counts.longest, total);
    handles[0] = copy(from, handle, from.rxLengths[i]!, to);
    lengths[0] = from.rxLengths[i]!;
    from.table.free(handle, from.pool);
    // The kernel has no room: the packet is lost, as on any link.
    if (handles[0] !== NO_BUFFER >>> 0 && to.txBurst(handles, lengths, 1) === 0) to.table.free(handles[0], to.pool);
  }
  return count;
}

let isStopping = false;
let wake = (): void => {};
for (const device of devices) device.onWake = () => wake();
process.once('SIGTERM', () => {
  isStopping = true;
  wake();
});

if (receive === 'off') for (const device of devices) await device.setReceiveOffloads(false);
console.log('ready');
const [a, b] = devices;
while (!isStopping) {
  const moved = pump(a, b, seen[0]!) + pump(b, a, seen[1]!);
  const isIdle = moved === 0 && a.enableRxInterrupt() && b.enableRxInterrupt();
  await new Promise<void>((resolve) => {
    wake = resolve;
    if (!isIdle) setImmediate(resolve);
  });
  for (const device of devices) device.disableRxInterrupt();
}
const counters = devices.map((device) => device.counters());
for (const device of devices) await device.close();
const free = devices.map(({ pool }) => pool.available);
console.log(JSON.stringify({ seen, counters, free }));
