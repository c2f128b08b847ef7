/** Transmit on a packed ring with offloads. */
import { PackedTxQueue } from '../packed-tx.js';

export class PackedTxChains extends PackedTxQueue {}
