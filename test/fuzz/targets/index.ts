/** All targets. */
import type { FuzzTarget } from '../target.js';
import { bessScript } from './bess-script.js';
import { frames } from './frames.js';
import { neighbours } from './neighbours.js';
import { splitDeviceRx } from './split-device-rx.js';
import { splitDeviceTx } from './split-device-tx.js';
import { splitDriverRx } from './split-driver-rx.js';
import { splitDriverTx } from './split-driver-tx.js';
import { virtioPci } from './virtio-pci.js';

export const targets: readonly FuzzTarget[] = [
  splitDriverRx,
  splitDriverTx,
  splitDeviceTx,
  splitDeviceRx,
  virtioPci,
  frames,
  neighbours,
  bessScript,
];
