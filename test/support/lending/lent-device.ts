/**
 * A vhost-user device with two threads: this one owns it and receives, another drives the transmit queue, and the peer
 * echoes what is sent. Checks each frame that comes back, and the place of every buffer.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { VhostUserFrontend } from '../../../drivers/transports/vhost-user/frontend.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../../drivers/virtio/virtio-net-device.js';
import { type BufferPool, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import { until } from '../until.js';
import { buffersIn } from '../virtio/slots.js';
import { FRAME_BYTES, NUMBER_OFFSET, type TxReport, type TxWork } from './tx-worker-data.js';

const QUEUE_SIZE = 256;
/** One half belongs to the receiver, one half to the sender. */
const BUFFERS = 2048;
const MAX_BURST = 64;

export class LentDevice {
  /** Frames that came back. */
  received = 0;
  /** What the device told about its link. */
  readonly told: string[] = [];
  /** The buffers that the sender has, as it said when it stopped. */
  private senders: number[] = Array.from({ length: BUFFERS / 2 }, (_, i) => BUFFERS / 2 + i);
  private worker: Worker | null = null;
  private readonly stop = new Int32Array(new SharedArrayBuffer(4));
  /** Number of the last frame that came back, and of the next frame to send. */
  private last = -1;
  private next = 0;

  private constructor(readonly device: VirtioNetDevice) {
    device.onLink = (state) => this.told.push(state);
  }

  static async open(
    path: string,
    ring: NetDeviceOptions['ring'] = 'split',
    offloads: NetDeviceOptions['offloads'] = 'off',
  ): Promise<LentDevice> {
    const ownBuffers = { first: 0, end: BUFFERS / 2 };
    const sizes = { ownBuffers, buffers: BUFFERS, queueSize: QUEUE_SIZE };
    const options = { lendTx: true, ...sizes, hugepages: 'never', ring, offloads } as const;
    return new LentDevice(await VirtioNetDevice.open(new VhostUserFrontend(path), options));
  }

  /** Starts the thread that sends. It runs from the build, which must be fresh. */
  startSender(spins: boolean): void {
    this.stop[0] = 0;
    const loan = this.device.lendTx();
    const stop = this.stop.buffer as SharedArrayBuffer;
    const workerData: TxWork = { loan, buffers: this.senders, from: this.next, spins, stop };
    const file = new URL('../../../dist/test/support/lending/tx-borrower.worker.js', import.meta.url);
    this.worker = new Worker(file, { workerData, transferList: [loan.port] });
  }

  /** Starts another thread that sends; false while the queue is still lent to the last one. */
  tryStartSender(): boolean {
    try {
      this.startSender(false);
      return true;
    } catch (error) {
      if (!(error as Error).message.includes('is lent to another thread already')) throw error;
      return false;
    }
  }

  /** Stops it between two bursts; returns its report. */
  async stopSender(): Promise<TxReport> {
    const worker = this.worker as Worker;
    const ended = once(worker, 'exit');
    const report = once(worker, 'message');
    Atomics.store(this.stop, 0, 1);
    const [said] = (await report) as [TxReport];
    await ended;
    this.worker = null;
    this.next = said.next;
    this.senders = said.free;
    return said;
  }

  /** Ends it at any place, most likely in the ring. */
  async killSender(): Promise<void> {
    await this.worker?.terminate();
    this.worker = null;
    const inRing = buffersIn(this.device.tx);
    this.senders = this.senders.filter((handle) => !inRing.includes(handle));
    // Its last number is unknown, but is below this one.
    this.next = 1 << 30;
  }

  /** Receives what is there: frames as they were sent, in order, none twice. */
  poll = (): void => {
    const { device } = this;
    const { rxHandles: handles, rxLengths: lengths } = device;
    const count = device.rxBurst(MAX_BURST);
    for (let i = 0; i < count; i++) {
      const handle = handles[i] as number;
      const at = (device.pool.offsetOf(handle) + FRAME_OFFSET + NUMBER_OFFSET) >> 1;
      const number = (device.memory.u16[at] as number) + (device.memory.u16[at + 1] as number) * 65536;
      if (number <= this.last || lengths[i] !== FRAME_BYTES) {
        throw new Error(`frame ${number} of ${lengths[i]} bytes after frame ${this.last}`);
      }
      this.last = number;
      device.pool.put(handle);
    }
    this.received += count;
  };

  /** Receives until `count` more frames have come back. */
  async receive(count: number, serve: () => void = () => {}): Promise<void> {
    const goal = this.received + count;
    await until(
      `${count} frames came back`,
      () => this.received >= goal,
      () => {
        for (let i = 0; i < 64; i++) {
          serve();
          this.poll();
        }
      },
    );
  }

  /**
   * Demands that every buffer is in one place: the receiver's half, the sender's half (while it is stopped), the
   * transmit ring.
   */
  expectNoBufferLost(): void {
    const { device } = this;
    const found = [...drained(device.pool), ...drained(device.sent), ...this.senders];
    found.push(...buffersIn(device.rx), ...buffersIn(device.tx));
    expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: BUFFERS }, (_, i) => i));
  }

  async close(): Promise<void> {
    await this.worker?.terminate();
    await this.device.close();
  }
}

/** The handles in a pool; they stay there. */
function drained(pool: BufferPool): number[] {
  const handles: number[] = [];
  while (pool.available > 0) handles.push(pool.get());
  for (const handle of [...handles].reverse()) pool.put(handle);
  return handles;
}
