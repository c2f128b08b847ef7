/** Steps and demands that suites share in which the device writes anything, for both ring layouts. */
import { expect, vi } from 'vitest';
import { frameCapacity } from '../../../rings/buffer-pool.js';
import { AT_REST } from './driver-suite.js';
import { type DriverUnderTest, frameOf } from './driver-under-test.js';

type Received = ReturnType<DriverUnderTest['receiveInHand']>;

/** The device overwrites, in every buffer, the header in front of the frame and the first bytes of the frame. */
export function spoilHeaders({ device }: DriverUnderTest, value: number): void {
  const { memory, pool } = device;
  for (let h = 0; h < pool.geometry.count; h++) memory.u8.fill(value, pool.offsetOf(h) + 50, pool.offsetOf(h) + 62);
}

/** Receives a burst of frames, of at most `most` bytes each. Throws when a buffer is received that the caller holds. */
export function receiveSound(driver: DriverUnderTest, most: number): Received {
  const received = driver.receiveInHand(most);
  for (const { frame } of received) {
    expect(frame.length).toBeGreaterThanOrEqual(14);
    expect(frame.length).toBeLessThanOrEqual(frameCapacity(driver.device.pool.geometry.shift));
  }
  return received;
}

/** Gives back what was received and sends two frames. Every buffer is in one place, before and after. */
export function goOn(driver: DriverUnderTest, received: Received, first: number, second: number): void {
  driver.account();
  for (const { handle } of received) driver.giveBack(handle);
  driver.send([frameOf(first), frameOf(second)]);
  driver.device.reclaimTx();
  driver.account();
}

/** A reset, which brings all buffers home. Then a frame comes through, which `deliver` puts into the receive ring. */
export async function recovers(driver: DriverUnderTest, deliver: (frame: Uint8Array) => boolean): Promise<void> {
  await vi.advanceTimersByTimeAsync(200);
  driver.transport.needReset();
  await vi.advanceTimersByTimeAsync(200);
  expect(driver.device.isUp).toBe(true);
  expect(driver.account()).toEqual(AT_REST);
  expect(deliver(frameOf(5))).toBe(true);
  expect(driver.receive()).toEqual([frameOf(5)]);
}
