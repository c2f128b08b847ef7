/** Receive on a packed ring with offloads. */
import { PackedRxQueue } from '../packed-rx.js';

export class PackedRxChains extends PackedRxQueue {}
