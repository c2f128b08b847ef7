/**
 * The load of the rows `bulk`: the drivers of a sender and a receiver, in one process on one CPU. With offloads, each
 * packet is a GSO packet in several buffers; without, a frame of 1514 bytes. It answers the requests `run MILLISECONDS`
 * with a {@link Run}, and `check MILLISECONDS` with a {@link Check}.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { parseMac } from '../../src/wire/address.js';
import { answerRequests } from '../common/bench-process.js';
import { macBehind } from '../common/embedded-switch.js';
import { BulkReceiver } from './bulk-receiver.js';
import { BulkSender, OWN_BUFFERS } from './bulk-sender.js';
import { GSO_FRAME_BYTES, PLAIN_FRAME_BYTES } from './frames.js';
import type { Check, Run, Setup } from './rows.js';

/** Buffers for the receive ring of the sender, which gets nothing. */
const RX_BUFFERS = 1024;
/** The rings are shorter than the default, so that what is under way fits into a cache. */
const RING_ENTRIES = 512;
/** Rounds between two turns of the event loop. */
const ROUNDS = 64;

const { sockets, offloads, cpu, hugepages } = JSON.parse(process.argv[2]) as Setup;

function open(port: number): Promise<VirtioNetDevice> {
  const sharing = { ownBuffers: { first: 0, end: RX_BUFFERS }, separateSent: true, buffers: RX_BUFFERS + OWN_BUFFERS };
  const policy = hugepages ? 'require' : 'never';
  return VirtioNetDevice.open(new VhostUserFrontend(sockets[port]), {
    ...{ mac: parseMac(macBehind(port)), hugepages: policy, offloads, queueSize: RING_ENTRIES },
    ...(port === 0 ? sharing : {}),
  });
}

await pinPollingThread(cpu);
const bytes = offloads === 'auto' ? GSO_FRAME_BYTES : PLAIN_FRAME_BYTES;
const sender = new BulkSender(await open(0), RX_BUFFERS, bytes);
const receiver = new BulkReceiver(await open(1), bytes);

async function poll(milliseconds: number): Promise<number> {
  const start = performance.now();
  let now = start;
  while (now - start < milliseconds) {
    for (let round = 0; round < ROUNDS; round++) {
      sender.poll();
      receiver.poll();
    }
    await nextTurn();
    now = performance.now();
  }
  return (now - start) / 1000;
}

async function run(milliseconds: number): Promise<Run> {
  const before = receiver.bytes;
  const seconds = await poll(milliseconds);
  return { bytes: receiver.bytes - before, seconds };
}

async function check(milliseconds: number): Promise<Check> {
  receiver.startChecking();
  await poll(milliseconds);
  return receiver.stopChecking();
}

process.once('SIGTERM', () => process.exit());
answerRequests(
  ([what, milliseconds]) => (what === 'check' ? check(Number(milliseconds)) : run(Number(milliseconds))),
  () => process.exit(),
);
