/** All targets. */
import type { FuzzTarget } from '../target.js';
import { splitDeviceRx } from './split-device-rx.js';
import { splitDeviceTx } from './split-device-tx.js';

export const targets: readonly FuzzTarget[] = [splitDeviceTx, splitDeviceRx];
