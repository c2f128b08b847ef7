/**
 * Our contestant of `bench -- driver`, a process of its own as testpmd is: opens the device behind a vhost-user socket and
 * sends, receives or forwards until its input ends. Asked `count`, it says how many packets and when.
 */
import { pinPollingThread } from '../../drivers/libc/index.js';
import { pollUntilAborted } from '../../drivers/poll-loop.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { init } from '../../src/index.js';
import { parseMac } from '../../src/wire/address.js';
import { ETH_HEADER_BYTES } from '../../src/wire/ethernet.js';
import { udpFrame } from '../common/frames.js';
import { serve } from '../common/serve.js';
import { apiLoop } from './api-loops.js';
import { bareLoop, type Loop } from './loops.js';
import { GENERATOR, type Ring, type Scene, STATION } from './scene.js';

export interface Setup {
  readonly socket: string;
  readonly scene: Scene;
  readonly cpu: number;
  readonly hugepages: boolean;
}

/** What `count` is answered with. */
export interface Count {
  readonly packets: number;
  readonly milliseconds: number;
}

const { socket, scene, cpu, hugepages } = JSON.parse(process.argv[2]) as Setup;
const { direction, burst, bytes } = scene;
const policy = hugepages ? 'require' : 'never';

function openDevice(ring: Ring): Promise<VirtioNetDevice> {
  const mac = parseMac(STATION.mac);
  return VirtioNetDevice.open(new VhostUserFrontend(socket), { mac, hugepages: policy, ring });
}

async function start(): Promise<{ loop: Loop; close: () => Promise<void> }> {
  const frame = udpFrame(bytes, STATION, GENERATOR);
  if (!scene.isApi) {
    await pinPollingThread(cpu);
    const device = await openDevice(scene.ring);
    return { loop: bareLoop(device, direction, burst, frame), close: () => device.close() };
  }
  const address = { ip: `${STATION.ip}/${STATION.prefix}`, neighbours: { [GENERATOR.ip]: GENERATOR.mac } };
  const port = await init(
    { device: `vhost-user:${socket}`, cores: [cpu], ...address },
    { openDevice: () => openDevice(scene.ring) },
  );
  const loop = apiLoop(port.core(0), direction, burst, frame.subarray(ETH_HEADER_BYTES));
  return { loop, close: () => port.stop() };
}

const { loop, close } = await start();
const end = new AbortController();
process.once('SIGTERM', () => end.abort());
serve(
  (): Count => ({ packets: loop.packets, milliseconds: performance.now() }),
  () => end.abort(),
);
// The number of packets tells the loop only when to sleep, and without `sleep` it never does.
const poll = (): number => {
  loop.poll();
  return 1;
};
await pollUntilAborted({ poll }, { signal: end.signal });
await close();
process.exit();
