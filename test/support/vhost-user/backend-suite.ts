/**
 * What the suites of the vhost-user backend share: for each test a backend and a frontend on its socket, both closed
 * after the test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { connectUnix, FileCloser, Reactor } from '../../../drivers/libc/index.js';
import { WindowAllocator } from '../../../drivers/memory/index.js';
import { VhostUserBackend, type VhostUserBackendOptions } from '../../../drivers/transports/vhost-user/backend.js';
import type { QueuePair } from '../../../drivers/transports/vhost-user/queue-pair.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import type { RingOptions } from '../../../drivers/virtio/device/ring.js';
import * as f from '../../../drivers/virtio/features.js';
import { until } from '../until.js';
import { FakeFrontend } from './fake-frontend.js';

/** The features of a modern driver. */
export const MODERN = f.VIRTIO_F_VERSION_1 | f.VHOST_USER_F_PROTOCOL_FEATURES;

export class BackendSuite {
  folder = '';
  path = '';
  reactor!: Reactor;
  /** What it was given is closed when a test has ended. */
  readonly closer = new FileCloser();
  windows!: WindowAllocator;
  backend!: VhostUserBackend;
  /** The backend's first queue pair. */
  pair!: QueuePair;
  /** In the frontend's memory. */
  burst!: PacketBurst;
  /** The frontend that was connected last. */
  frontend!: FakeFrontend;
  /** What the backend has reported, without its name. */
  links: string[] = [];
  notices: string[] = [];
  /** Closed after the test. */
  open: { close(): void }[] = [];

  /** Registers its hooks with the suite that it is made in. */
  constructor() {
    beforeAll(() => {
      this.reactor = new Reactor();
    });
    afterAll(() => this.reactor.close());
    beforeEach(() => {
      this.folder = mkdtempSync(join(tmpdir(), 'tspmd-'));
      this.path = join(this.folder, 'port.sock');
      this.windows = new WindowAllocator(64 << 20);
      this.links = [];
      this.notices = [];
      this.open = [];
    });
    afterEach(async () => {
      for (const each of this.open) each.close();
      await until('all descriptors to be closed', () => this.closer.pending === 0);
      rmSync(this.folder, { recursive: true });
    });
  }

  listen(options: Partial<VhostUserBackendOptions> = {}): void {
    const { path, reactor, windows } = this;
    const backend = new VhostUserBackend({ path, reactor, windows, closer: this.closer, ...options });
    backend.onLink = (state, reason) => this.links.push(`${state} ${reason.slice(backend.name.length + 2)}`);
    backend.onNotice = (line) => this.notices.push(line.slice(backend.name.length + 2));
    this.open.push(backend);
    this.backend = backend;
    this.pair = backend.pairs[0]!;
  }

  connect(options: Partial<RingOptions> = {}): FakeFrontend {
    this.use(new FakeFrontend(connectUnix(this.path), this.reactor, options));
    this.open.push(this.frontend);
    return this.frontend;
  }

  /** From now on the suite uses this frontend. */
  use(frontend: FakeFrontend): void {
    this.frontend = frontend;
    this.burst = new PacketBurst(frontend.window);
  }

  started(): Promise<void> {
    return until('both queues', () => this.pair.txQueue !== null && this.pair.rxQueue !== null);
  }

  offerFrame(length = 60): void {
    const { tx } = this.frontend;
    tx.offer([{ offset: tx.buffer(12 + length), length: 12 + length }]);
  }

  /** One frame of 60 bytes in the burst. */
  fill(): void {
    this.burst.clear();
    this.burst.push(0x4_0000, 60);
  }

  take(): number {
    const count = this.pair.take(this.burst, MAX_BURST);
    this.pair.complete();
    return count;
  }
}
