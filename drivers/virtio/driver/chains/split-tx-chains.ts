/** Transmit on a split ring with offloads. */
import { SplitTxQueue } from '../split-tx.js';

export class SplitTxChains extends SplitTxQueue {}
