/** The backend's end as a network device, against tspmd's own driver over a vhost-user socket. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BackendDevice, openBackendDevice } from '../../../../../bench/common/backend/device.js';
import type { NetDevice } from '../../../../../drivers/net-device.js';
import type { OffloadPolicy } from '../../../../../drivers/offloads.js';
import { VhostUserFrontend } from '../../../../../drivers/transports/vhost-user/frontend.js';
import type { NetDeviceOptions } from '../../../../../drivers/virtio/net-options.js';
import { VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import { init, type SinglePort } from '../../../../../src/index.js';
import { TcpIp } from '../../../../../src/tcpip/index.js';
import { openFds, temporaryDirectory, untilFds } from '../../../../support/resources.js';
import { matchPatternAt, writePatternAt } from '../../../../support/tcpip/pattern.js';
import { until } from '../../../../support/until.js';

const DRIVER_MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 2);

let fds: number;
let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let opened: { close(): Promise<void> }[];

beforeEach(() => {
  fds = openFds();
  directory = temporaryDirectory();
  path = `${directory.path}/s`;
  opened = [];
});

afterEach(async () => {
  for (const one of opened.reverse()) await one.close();
  directory.remove();
  await untilFds(fds);
});

function openBackend(buffers = 256, offloads: OffloadPolicy = 'off'): BackendDevice {
  const device = new BackendDevice(path, { buffers, offloads });
  opened.push(device);
  return device;
}

async function openDriver(options: NetDeviceOptions = {}): Promise<VirtioNetDevice> {
  const small = { queueSize: 32, buffers: 128, hugepages: 'never', mac: DRIVER_MAC, ...options } as const;
  const device = await VirtioNetDevice.open(new VhostUserFrontend(path), small);
  opened.push(device);
  return device;
}

/** A frame to the driver with bytes that follow from `number`. */
function frameOf(number: number, length: number): Uint8Array {
  const frame = new Uint8Array(length);
  writePatternAt(frame, 0, length, number * 7);
  frame.set(DRIVER_MAC);
  return frame;
}

/** Sends frames until the device takes no more. Returns how many it took. */
function send(device: NetDevice, frames: readonly Uint8Array[]): number {
  const { pool, memory } = device;
  const handles = Uint32Array.from(frames, () => pool.get());
  for (const [i, frame] of frames.entries()) memory.u8.set(frame, pool.offsetOf(handles[i]!) + FRAME_OFFSET);
  const lengths = Uint32Array.from(frames, ({ length }) => length);
  const taken = device.txBurst(handles, lengths, frames.length);
  for (const handle of handles.subarray(taken)) pool.put(handle);
  return taken;
}

/** Takes the frames that have come. */
function take(device: NetDevice): Uint8Array[] {
  const { pool, memory, rxHandles, rxLengths } = device;
  return Array.from({ length: device.rxBurst(32) }, (_, i) => {
    const at = pool.offsetOf(rxHandles[i]!) + FRAME_OFFSET;
    pool.put(rxHandles[i]!);
    return memory.u8.slice(at, at + rxLengths[i]!);
  });
}

describe.each(['split', 'packed'] as const)('with %s rings', (ring) => {
  it('carries frames of any length both ways', async () => {
    const backend = openBackend();
    const driver = await openDriver({ ring });
    await until('the link is up', () => backend.isUp);
    const free = backend.pool.available;
    const frames = [14, 60, 61, 62, 63, 64, 333, 1000, 1514, 1518].map((length, i) => frameOf(i, length));
    for (const [from, to] of [
      [backend, driver],
      [driver, backend],
    ] as const) {
      expect(send(from, frames)).toBe(frames.length);
      const got: Uint8Array[] = [];
      await until(
        'all frames',
        () => got.length === frames.length,
        () => got.push(...take(to)),
      );
      expect(got).toEqual(frames);
    }
    expect(backend.pool.available).toBe(free);
    expect(backend.counters()).toMatchObject({ rx_packets: 10, tx_packets: 10, tx_lost_on_reset: 0 });
  });

  it('takes no more than the driver has buffers for', async () => {
    const backend = openBackend();
    const driver = await openDriver({ ring });
    await until('the link is up', () => backend.isUp);
    let sent = 0;
    let got = 0;
    for (let round = 0; round < 20; round++) {
      for (let tries = 0; tries < 3; tries++) {
        sent += send(
          backend,
          Array.from({ length: 25 }, (_, i) => frameOf(sent + i, 100)),
        );
      }
      expect(sent - got).toBeLessThanOrEqual(32);
      for (const frame of take(driver)) expect(frame).toEqual(frameOf(got++, 100));
    }
    expect(got).toBeGreaterThan(300);
    expect(backend.counters()).toMatchObject({ tx_lost_on_reset: 0, tx_packets: sent });
  });

  it('leaves frames in the ring while it has no buffers', async () => {
    const backend = openBackend();
    const driver = await openDriver({ ring });
    await until('the link is up', () => backend.isUp);
    const held = Array.from({ length: 254 }, () => backend.pool.get());
    expect(
      send(
        driver,
        [0, 1, 2].map((i) => frameOf(i, 60)),
      ),
    ).toBe(3);
    let count = 0;
    await until(
      'two frames',
      () => count > 0,
      () => (count = backend.rxBurst(32)),
    );
    expect([count, backend.rxBurst(32)]).toEqual([2, 0]);
    backend.pool.put(held[0]!);
    expect(backend.rxBurst(32)).toBe(1);
    expect(backend.rxLengths[0]).toBe(60);
  });

  it('carries whole packets of streams with offloads', async () => {
    const bytes = 3_000_000;
    const total = { toServer: 0, toClient: 0 };
    const client = await open('10.0.0.1', { openDevice: openBackendDevice });
    const server = await open('10.0.0.2', {});
    const [load, echo] = [new TcpIp(client.core()), new TcpIp(server.core())];
    const block = new Uint8Array(100_000);
    echo.tcp.listen(
      { port: 7 },
      {
        open: (c) => fill(c),
        drain: (c) => fill(c),
        data: (_, memory, offset, length) => {
          expect(matchPatternAt(memory, offset, length, total.toServer)).toBe(length);
          total.toServer += length;
        },
      },
    );
    load.tcp.connect(
      { address: '10.0.0.2', port: 7 },
      {
        open: (c) => fill(c),
        drain: (c) => fill(c),
        data: (_, memory, offset, length) => {
          expect(matchPatternAt(memory, offset, length, total.toClient)).toBe(length);
          total.toClient += length;
        },
      },
    );
    function fill(c: { bytesWritten: number; write(b: Uint8Array, offset: number, length: number): number }): void {
      for (;;) {
        const length = Math.min(block.length, bytes - c.bytesWritten);
        writePatternAt(block, 0, length, c.bytesWritten);
        if (length === 0 || c.write(block, 0, length) < length) return;
      }
    }
    const poll = (): void => {
      load.poll();
      echo.poll();
    };
    await until('all bytes', () => total.toServer === bytes && total.toClient === bytes, poll);
    const { rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0, ...counters } = client.counters();
    // No frame of the link is longer than 1514 bytes.
    expect(Math.min(rx_bytes / rx_packets, tx_bytes / tx_packets)).toBeGreaterThan(1514);
    expect(counters).toMatchObject({ tx_lost_on_reset: 0, rx_dropped_bad_offload: 0, tx_dropped_bad_offload: 0 });

    async function open(ip: string, options: Parameters<typeof init>[1]): Promise<SinglePort> {
      const config = { device: `vhost-user:${path}`, ip: `${ip}/24`, offloads: 'auto', hugepages: 'never' } as const;
      const port = await init({ ...config, ring, buffers: 1024 }, options);
      opened.push({ close: () => port.stop() });
      return port;
    }
  });
});

it('says when the peer comes and goes', async () => {
  const backend = openBackend();
  const links: string[] = [];
  backend.onLink = (state, reason) => links.push(`${state} ${reason.slice(backend.name.length + 2)}`);
  expect([backend.isUp, send(backend, [frameOf(0, 60)])]).toEqual([false, 0]);
  for (let times = 0; times < 2; times++) {
    const driver = await VirtioNetDevice.open(new VhostUserFrontend(path), {
      queueSize: 32,
      buffers: 128,
      hugepages: 'never',
    });
    await until('the link is up', () => backend.isUp);
    await driver.close();
    await until('the link is down', () => !backend.isUp);
  }
  const [up, down] = ['up the queues of the peer have started', 'down the queues of the peer have stopped'];
  expect(links).toEqual([up, down, up, down]);
});

it('wakes for a frame when it may sleep', async () => {
  const backend = openBackend();
  const driver = await openDriver();
  await until('the link is up', () => backend.isUp);
  let woken = 0;
  backend.onWake = () => woken++;
  expect(backend.enableRxInterrupt()).toBe(true);
  send(driver, [frameOf(0, 60)]);
  await until('the wake-up', () => woken > 0);
  expect(backend.enableRxInterrupt()).toBe(false);
  expect(take(backend)).toEqual([frameOf(0, 60)]);
});
