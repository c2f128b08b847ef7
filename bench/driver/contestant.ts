/**
 * Our contestant of `bench -- driver`, a process as testpmd is. It opens the device behind a vhost-user socket, and
 * sends, receives or forwards until its input ends. It answers the request `count` with the number of packets and the
 * time.
 */
import { pinPollingThread } from '../../drivers/libc/index.js';
import { pollUntilAborted } from '../../drivers/poll-loop.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { init } from '../../src/index.js';
import { parseMac } from '../../src/wire/address.js';
import { ETH_HEADER_BYTES } from '../../src/wire/ethernet.js';
import { answerRequests } from '../common/bench-process.js';
import { udpFrame } from '../common/frames.js';
import { apiLoop } from './api-loops.js';
import { bareLoop, type Loop } from './bare-loops.js';
import { GENERATOR, type Ring, type RowSpec, STATION } from './rows.js';

export interface Setup {
  readonly socket: string;
  readonly spec: RowSpec;
  readonly cpu: number;
  readonly hugepages: boolean;
}

/** The answer to `count`. */
export interface Count {
  readonly packets: number;
  readonly milliseconds: number;
}

const { socket, spec, cpu, hugepages } = JSON.parse(process.argv[2]) as Setup;
const { direction, burst, bytes } = spec;
const policy = hugepages ? 'require' : 'never';

function openDevice(ring: Ring): Promise<VirtioNetDevice> {
  const mac = parseMac(STATION.mac);
  return VirtioNetDevice.open(new VhostUserFrontend(socket), { mac, hugepages: policy, ring });
}

async function start(): Promise<{ loop: Loop; close: () => Promise<void> }> {
  const frame = udpFrame(bytes, STATION, GENERATOR);
  if (!spec.isApi) {
    await pinPollingThread(cpu);
    const device = await openDevice(spec.ring);
    return { loop: bareLoop(device, direction, burst, frame), close: () => device.close() };
  }
  const address = { ip: `${STATION.ip}/${STATION.prefix}`, neighbours: { [GENERATOR.ip]: GENERATOR.mac } };
  const port = await init(
    { device: `vhost-user:${socket}`, cores: [cpu], ...address },
    { openDevice: () => openDevice(spec.ring) },
  );
  const loop = apiLoop(port.core(0), direction, burst, frame.subarray(ETH_HEADER_BYTES));
  return { loop, close: () => port.stop() };
}

const { loop, close } = await start();
const end = new AbortController();
process.once('SIGTERM', () => end.abort());
answerRequests(
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
