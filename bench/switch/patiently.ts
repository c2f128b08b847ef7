import { setTimeout as sleep } from 'node:timers/promises';

const ATTEMPTS = 20;
const RETRY_MS = 250;

/**
 * Opens a device, and tries for some seconds. When the first port of OVS gets its peer, OVS searches for the largest pool
 * of buffers that fits into memory. Meanwhile there is no memory for the peers of other ports.
 */
export async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await sleep(RETRY_MS);
    }
  }
}
