/**
 * A neighbour that nobody wants, on a port of the switch: `hostile.main.js SOCKET KIND`. Prints `ready` when it has begun;
 * its end is a signal. {@link HOSTILITIES} has the kinds.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type Endpoint, udpFrame } from '../../bench/common/frames.js';
import { bareLoop } from '../../bench/driver/bare-loops.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import type { Doorbell, QueueLayout } from '../../drivers/virtio/transport.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { RefusedMessages } from '../support/bess/refused-messages.js';
import { EVENTFD_HOSTILITIES, turnEventfds } from './hostile-eventfds.js';
import type { Hostility } from './isolation.js';
import { ipOf, macOf } from './numbered.js';
import { Strangers } from './strangers.js';

const TX_QUEUE = 1;
const BYTES = 64;
const BURST = 32;
/** Between two turns of the event loop. */
const ROUNDS = 64;

/** A frontend whose doorbell can be rung by whoever wants. */
class NoisyFrontend extends VhostUserFrontend {
  doorbell: Doorbell | null = null;

  override async setupQueue(index: number, layout: QueueLayout): Promise<Doorbell> {
    const doorbell = await super.setupQueue(index, layout);
    if (index === TX_QUEUE) this.doorbell = doorbell;
    return doorbell;
  }
}

const [path, kind] = process.argv.slice(2) as [string, Hostility];
const begun = (): void => void process.stdout.write('ready\n');
const eventfdKind = EVENTFD_HOSTILITIES.find((each) => each === kind);
if (eventfdKind !== undefined) await turnEventfds(path, eventfdKind, begun);
if (kind === 'fills the log') await fillTheLog();
const frontend = new NoisyFrontend(path);
const device = await VirtioNetDevice.open(frontend, { hugepages: 'never', queueSize: 256 });

/** It is no driver: its messages are refused. */
async function fillTheLog(): Promise<never> {
  const messages = new RefusedMessages(path);
  process.stdout.write('ready\n');
  for (;;) {
    messages.poll();
    await nextTurn();
  }
}

function flood(to: Endpoint): () => void {
  const frame = udpFrame(BYTES, { ip: ipOf(3), mac: macOf(3) }, to);
  const loop = bareLoop(device, 'tx', BURST, frame);
  return () => loop.poll();
}

/** Has no more to do than a packet a millisecond, and leaves the CPU to others. */
async function invent(kind: 'pings' | 'asks'): Promise<never> {
  const strangers = new Strangers(device, kind, 3);
  begun();
  for (;;) {
    strangers.poll();
    await sleep(1);
  }
}

/** Of no endpoint: the one that is flooded drops the packet by its address. */
const NO_IP = '10.0.0.99';
if (kind === 'pings from invented addresses') await invent('pings');
if (kind === 'asks from invented addresses') await invent('asks');
const deeds: Readonly<Partial<Record<Hostility, () => void>>> = {
  'floods one': flood({ ip: NO_IP, mac: macOf(1) }),
  'floods all': flood({ ip: NO_IP, mac: 'ff:ff:ff:ff:ff:ff' }),
  'floods nobody': flood({ ip: NO_IP, mac: '02:00:00:00:00:99' }),
  'kicks without end': () => frontend.doorbell?.ring(),
};
const deed = deeds[kind] ?? (() => {});
begun();
// One that never reads has nothing to do.
if (kind === 'never reads') await new Promise(() => setInterval(() => {}, 60_000));
for (;;) {
  for (let round = 0; round < ROUNDS; round++) deed();
  await nextTurn();
}
