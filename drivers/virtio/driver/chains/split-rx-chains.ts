/** Receive on a split ring with offloads. */
import { SplitRxQueue } from '../split-rx.js';

export class SplitRxChains extends SplitRxQueue {}
