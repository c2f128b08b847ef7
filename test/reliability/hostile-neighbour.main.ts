/**
 * A hostile neighbour on a port of the switch: `hostile-neighbour.main.js SOCKET KIND`. It prints `ready` when it has begun, and goes on
 * until a signal ends it. {@link HOSTILE_KINDS} lists the kinds.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type Endpoint, udpFrame } from '../../bench/common/frames.js';
import { bareLoop } from '../../bench/driver/bare-loops.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import type { Doorbell, QueueLayout } from '../../drivers/virtio/transport.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { RefusedMessages } from '../support/bess/refused-messages.js';
import { EVENTFD_KINDS, misuseEventfds } from './hostile-eventfds.js';
import { MESSAGE_KINDS, sendHostileMessages } from './hostile-messages.js';
import { InventedAddresses } from './invented-addresses.js';
import type { HostileKind } from './isolation-testbed.js';
import { ipOf, macOf } from './numbered.js';

const TX_QUEUE = 1;
const BYTES = 64;
const BURST = 32;
/** Actions between two turns of the event loop. */
const ROUNDS = 64;

/** A frontend that gives away its doorbell, so that it can be rung without a packet. */
class NoisyFrontend extends VhostUserFrontend {
  doorbell: Doorbell | null = null;

  override async setupQueue(index: number, layout: QueueLayout): Promise<Doorbell> {
    const doorbell = await super.setupQueue(index, layout);
    if (index === TX_QUEUE) this.doorbell = doorbell;
    return doorbell;
  }
}

const [path, kind] = process.argv.slice(2) as [string, HostileKind];
const begun = (): void => void process.stdout.write('ready\n');
const eventfdKind = EVENTFD_KINDS.find((each) => each === kind);
if (eventfdKind !== undefined) await misuseEventfds(path, eventfdKind, begun);
const messageKind = MESSAGE_KINDS.find((each) => each === kind);
if (messageKind !== undefined) await sendHostileMessages(path, messageKind, begun);
if (kind === 'fills the log') await fillTheLog();
const frontend = new NoisyFrontend(path);
const device = await VirtioNetDevice.open(frontend, { hugepages: 'never', queueSize: 256 });

/** All of its messages are refused. */
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

/** Sends a few packets per millisecond, and leaves the CPU to others. */
async function invent(kind: 'pings' | 'asks'): Promise<never> {
  const inventor = new InventedAddresses(device, kind, 3);
  begun();
  for (;;) {
    inventor.poll();
    await sleep(1);
  }
}

/** No endpoint has this address: the endpoint that is flooded drops the packet. */
const NO_IP = '10.0.0.99';
if (kind === 'pings from invented addresses') await invent('pings');
if (kind === 'asks from invented addresses') await invent('asks');
const actions: Readonly<Partial<Record<HostileKind, () => void>>> = {
  'floods one': flood({ ip: NO_IP, mac: macOf(1) }),
  'floods all': flood({ ip: NO_IP, mac: 'ff:ff:ff:ff:ff:ff' }),
  'floods nobody': flood({ ip: NO_IP, mac: '02:00:00:00:00:99' }),
  'kicks without end': () => frontend.doorbell?.ring(0),
};
const act = actions[kind] ?? (() => {});
begun();
// A neighbour that never reads has nothing to do.
if (kind === 'never reads') await new Promise(() => setInterval(() => {}, 60_000));
for (;;) {
  for (let round = 0; round < ROUNDS; round++) act();
  await nextTurn();
}
