/**
 * The shared memory between the threads of a port: the rings, the doorbells, the neighbour table, our addresses, the state
 * of the link. It is laid out once from the plan; each thread attaches to the parts that it needs.
 *
 *     Rx worker -- rx_queue --> core        core -- rxFree --> Rx worker      (received packets, and their buffers back)
 *     core ------- tx_queue --> Tx worker   Tx worker -- txFree --> core      (packets to send, and their buffers back)
 *     core -- asks --> Rx worker            Rx worker -- answers --> core     (ARP, not on the path of packets)
 *     Tx worker -- rxReturn --> Rx worker                                     (received buffers that were sent, with 2 KB)
 *
 * Every ring has one producer and one consumer. With 1 KB the RxTx worker is both the Rx and the Tx worker.
 */
import { NeighbourReader } from '../../../rings/neighbour-reader.js';
import { NeighbourTable } from '../../../rings/neighbour-table.js';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { HOST_WORDS, type HostMemory } from '../../link/host.js';
import type { BufferPlan } from './buffer-plan.js';
import { DOORBELL_WORDS, Doorbell, DoorbellListener } from './doorbell.js';
import { MAX_QUESTIONS, NeighbourChannel, SLOTS_PER_MESSAGE } from './neighbour-channel.js';

/**
 * Slots for questions and answers about neighbours: for each question that can be open, and as many reconfirmations.
 */
const CHANNEL_SLOTS = 2 * MAX_QUESTIONS * SLOTS_PER_MESSAGE;

/** What a thread needs to attach; structured-cloneable. */
export interface InterconnectShare {
  readonly buffer: SharedArrayBuffer;
  readonly plan: BufferPlan;
  /** Whether a thread of its own sends: 2 KB. */
  readonly hasTxWorker: boolean;
}

const LINE = 128;
/** The word beside the state of the link, which is as seldom written. */
const OFFLOADS = 1;
/** From our MAC address to our other addresses, in bytes: on the same line, which is seldom written. */
const HOST_AT = 64;
const RINGS_PER_CORE = ['rxQueue', 'rxFree', 'txQueue', 'txFree', 'asks', 'answers'] as const;
type CoreRing = (typeof RINGS_PER_CORE)[number];

const powerAbove = (value: number): number => 2 ** Math.ceil(Math.log2(Math.max(value, 2)));

/**
 * Slots of each kind of ring. A ring of returned buffers has room for all buffers that can come back, and for few more:
 * a ring is used from its beginning to its end, however few buffers are in it, and all rings together should stay in
 * the cache.
 */
function slotsOf({
  rxQueue,
  txQueue,
  rxBuffers,
  rxShare,
  txBuffers,
}: BufferPlan): Record<CoreRing | 'rxReturn', number> {
  return {
    rxQueue,
    txQueue,
    rxFree: powerAbove(rxShare),
    txFree: powerAbove(txBuffers),
    rxReturn: powerAbove(rxBuffers),
    asks: CHANNEL_SLOTS,
    answers: CHANNEL_SLOTS,
  };
}

/**
 * Where everything lies, in bytes: doorbells, words, neighbour table, the rings of the cores, the rings of the Rx
 * worker.
 */
function layoutOf(plan: BufferPlan) {
  const { cores } = plan;
  const slots = slotsOf(plan);
  const coreBytes = RINGS_PER_CORE.reduce((bytes, kind) => bytes + SpscRing.bytesFor(slots[kind]), 0);
  const words = (cores + 2) * DOORBELL_WORDS * 4;
  const mac = words + 2 * LINE;
  const neighbours = words + 3 * LINE;
  const rings = neighbours + NeighbourTable.bytesFor();
  const rxWorkersTxQueue = rings + cores * coreBytes;
  const rxReturn = rxWorkersTxQueue + SpscRing.bytesFor(slots.txQueue);
  const end = rxReturn + SpscRing.bytesFor(slots.rxReturn);
  return { slots, coreBytes, words, mac, neighbours, rings, rxWorkersTxQueue, rxReturn, end };
}

export class Interconnect {
  readonly plan: BufferPlan;
  private readonly layout: ReturnType<typeof layoutOf>;
  /** The state of the link, 1 or 0; what the device does for packets to send; and whether there are new questions, which several threads write. */
  private readonly words: Int32Array;
  /** All of the memory, for the doorbells. */
  private readonly allWords: Int32Array;

  constructor(private readonly share: InterconnectShare) {
    this.plan = share.plan;
    this.layout = layoutOf(share.plan);
    this.allWords = new Int32Array(share.buffer);
    this.words = new Int32Array(share.buffer, this.layout.words, (3 * LINE) / 4);
  }

  /** Makes the memory for a plan; all rings empty. */
  static create(plan: BufferPlan, hasTxWorker: boolean): Interconnect {
    const interconnect = new Interconnect({ buffer: new SharedArrayBuffer(layoutOf(plan).end), plan, hasTxWorker });
    // Written here, because the cores may attach before the Rx worker does.
    interconnect.neighbourTable();
    return interconnect;
  }

  /** Whether a thread of its own sends: 2 KB. */
  get hasTxWorker(): boolean {
    return this.share.hasTxWorker;
  }

  /** What the constructor takes in another thread. */
  shared(): InterconnectShare {
    return this.share;
  }

  /** One end of a ring of `core`. Producer and consumer each attach once, with an instance of their own. */
  ring(core: number, kind: CoreRing): SpscRing {
    const { rings, coreBytes, slots } = this.layout;
    let offset = rings + core * coreBytes;
    for (const before of RINGS_PER_CORE) {
      if (before === kind) break;
      offset += SpscRing.bytesFor(slots[before]);
    }
    return new SpscRing(this.share.buffer, offset, slots[kind]);
  }

  /** The rings of one kind of all cores. */
  rings(kind: CoreRing): SpscRing[] {
    return Array.from({ length: this.plan.cores }, (_, core) => this.ring(core, kind));
  }

  /** One end of the questions of `core` to the Rx worker, and of the answers. */
  neighbourChannels(core: number): { asks: NeighbourChannel; answers: NeighbourChannel } {
    return {
      asks: new NeighbourChannel(this.ring(core, 'asks')),
      answers: new NeighbourChannel(this.ring(core, 'answers')),
    };
  }

  /** The `tx_queue` of the Rx worker: its ARP frames. */
  rxWorkersTxQueue(): SpscRing {
    return new SpscRing(this.share.buffer, this.layout.rxWorkersTxQueue, this.layout.slots.txQueue);
  }

  /** The ring by which received buffers that the Tx worker has sent go back to the Rx worker (2 KB). */
  rxReturn(): SpscRing {
    return new SpscRing(this.share.buffer, this.layout.rxReturn, this.layout.slots.rxReturn);
  }

  coreDoorbell(core: number): Doorbell {
    return new Doorbell(this.allWords, core * DOORBELL_WORDS);
  }

  /** For the core itself. */
  coreListener(core: number): DoorbellListener {
    return new DoorbellListener(this.allWords, core * DOORBELL_WORDS);
  }

  rxDoorbell(): Doorbell {
    return this.coreDoorbell(this.plan.cores);
  }

  rxListener(): DoorbellListener {
    return this.coreListener(this.plan.cores);
  }

  /** The doorbell of the thread that sends: the Tx worker, or the RxTx worker. */
  txDoorbell(): Doorbell {
    return this.share.hasTxWorker ? this.coreDoorbell(this.plan.cores + 1) : this.rxDoorbell();
  }

  /** For the Tx worker itself (2 KB). */
  txListener(): DoorbellListener {
    return this.coreListener(this.plan.cores + 1);
  }

  /** For the Rx worker, its only writer. */
  neighbourTable(): NeighbourTable {
    return new NeighbourTable(this.share.buffer, this.layout.neighbours);
  }

  neighbourReader(): NeighbourReader {
    return new NeighbourReader(this.share.buffer, this.layout.neighbours);
  }

  /** Our addresses. Only the Rx worker writes them. */
  hostMemory(): HostMemory {
    const { buffer } = this.share;
    const { mac } = this.layout;
    return { mac: new Uint16Array(buffer, mac, 3), words: new Int32Array(buffer, mac + HOST_AT, HOST_WORDS) };
  }

  get isLinkUp(): boolean {
    return Atomics.load(this.words, 0) === 1;
  }

  set isLinkUp(isUp: boolean) {
    Atomics.store(this.words, 0, isUp ? 1 : 0);
  }

  /** What the device does for packets to send: OFFLOAD_ bits. Only the Rx worker writes it. */
  get offloads(): number {
    return Atomics.load(this.words, OFFLOADS);
  }

  set offloads(offloads: number) {
    Atomics.store(this.words, OFFLOADS, offloads);
  }

  /** Says that a core has put a question into its ring. */
  setAsked(): void {
    Atomics.store(this.words, LINE / 4, 1);
  }

  /** Whether a question may wait. */
  get isAsked(): boolean {
    return Atomics.load(this.words, LINE / 4) !== 0;
  }

  /** As {@link isAsked}, and clears it: true once for all questions until now. */
  takeAsked(): boolean {
    // At each poll: a plain load, which may see a question a little late. A thread that wants to sleep uses isAsked.
    if (this.words[LINE / 4] === 0) return false;
    Atomics.store(this.words, LINE / 4, 0);
    return true;
  }
}
