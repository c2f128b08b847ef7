/**
 * What the suites of the network device share: for each test a driver that is closed after it, with no demand broken
 * and nothing left open.
 */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import * as f from '../../../drivers/virtio/features.js';
import type { NetDeviceOptions } from '../../../drivers/virtio/virtio-net-device.js';
import { openFds } from '../resources.js';
import { BUFFERS, DriverUnderTest, QUEUE_SIZE } from './driver-under-test.js';
import type { FakeTransport } from './fake-transport.js';

/** The places of the buffers when nothing is under way. */
export const AT_REST = { pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0 };

export class DriverSuite {
  /** Descriptors that were open before the test. */
  fdsBefore = 0;
  private current: DriverUnderTest | undefined;

  /** Registers its hooks with the suite that it is made in. */
  constructor() {
    beforeEach(() => {
      this.fdsBefore = openFds();
    });
    afterEach(async () => {
      await this.current?.device.close();
      if (this.current) expect(this.current.transport.violations).toEqual([]);
      this.current = undefined;
      vi.useRealTimers();
      expect(openFds()).toBe(this.fdsBefore);
    });
  }

  /** The driver that the test has opened. */
  get driver(): DriverUnderTest {
    if (this.current === undefined) throw new Error('no driver was opened');
    return this.current;
  }

  async open(
    prepare: (transport: FakeTransport) => void = () => {},
    options: NetDeviceOptions = {},
  ): Promise<DriverUnderTest> {
    this.current = await DriverUnderTest.open(options, prepare);
    return this.current;
  }

  /** With packed rings, on a device that offers these further features. */
  async openPacked(features = 0n, options: NetDeviceOptions = {}): Promise<DriverUnderTest> {
    this.current = await DriverUnderTest.offering(f.VIRTIO_F_RING_PACKED | features, options);
    return this.current;
  }

  /** What the device tells about its link from now on. */
  listen(): string[] {
    const told: string[] = [];
    this.driver.device.onLink = (state, reason) => told.push(`${state}: ${reason}`);
    return told;
  }
}
