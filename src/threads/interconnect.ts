/**
 * The shared memory between the threads of a port: the rings, doorbells, the neighbour table, the own MAC address, the
 * state of the link. Laid out once from the plan; each thread attaches to what it needs.
 *
 *     Rx worker -- rx_queue --> core        core -- rxFree --> Rx worker      (received packets, and their buffers back)
 *     core ------- tx_queue --> Tx worker   Tx worker -- txFree --> core      (packets to send, and their buffers back)
 *     core -- asks --> Rx worker            Rx worker -- answers --> core     (ARP, not on the path of packets)
 *     Tx worker -- rxHome --> Rx worker                                       (received buffers that were sent, 2 KB)
 *
 * Every ring has one producer and one consumer. With 1 KB the Rx and the Tx worker are one thread.
 */
import { NeighbourReader } from '../../rings/neighbour-reader.js';
import { NeighbourTable } from '../../rings/neighbour-table.js';
import { SpscRing } from '../../rings/spsc-ring.js';
import { MAX_QUESTIONS } from './core/remote-neighbours.js';
import { DOORBELL_WORDS, Doorbell, DoorbellListener } from './doorbell.js';
import { NeighbourMail, PLACES_A_LETTER } from './neighbour-mail.js';
import type { BufferPlan } from './plan.js';

/** For questions and answers about neighbours: an answer to each that is open, and as many reconfirmations. */
const ASK_PLACES = 2 * MAX_QUESTIONS * PLACES_A_LETTER;

/** Structured-cloneable: what a thread needs to attach. */
export interface InterconnectShare {
  readonly buffer: SharedArrayBuffer;
  readonly plan: BufferPlan;
  /** Whether another thread sends than receives: 2 KB. */
  readonly hasTxWorker: boolean;
}

const LINE = 128;
const RINGS_A_CORE = ['rxQueue', 'rxFree', 'txQueue', 'txFree', 'asks', 'answers'] as const;
type RingOfCore = (typeof RINGS_A_CORE)[number];

const powerAbove = (value: number): number => 2 ** Math.ceil(Math.log2(Math.max(value, 2)));

/**
 * Places of each kind of ring. Those of returned buffers have room for all that can come back, and for not many more: a ring
 * is used from its beginning to its end, however few are in it, and what all of them take together is to stay in the cache.
 */
function placesOf({
  rxQueue,
  txQueue,
  rxBuffers,
  rxShare,
  txBuffers,
}: BufferPlan): Record<RingOfCore | 'rxHome', number> {
  return {
    rxQueue,
    txQueue,
    rxFree: powerAbove(rxShare),
    txFree: powerAbove(txBuffers),
    rxHome: powerAbove(rxBuffers),
    asks: ASK_PLACES,
    answers: ASK_PLACES,
  };
}

/** Where everything lies, in bytes: doorbells, words, neighbour table, the cores' rings, the Rx worker's own. */
function layoutOf(plan: BufferPlan) {
  const { cores } = plan;
  const places = placesOf(plan);
  const coreBytes = RINGS_A_CORE.reduce((bytes, kind) => bytes + SpscRing.bytesFor(places[kind]), 0);
  const words = (cores + 2) * DOORBELL_WORDS * 4;
  const mac = words + 2 * LINE;
  const neighbours = words + 3 * LINE;
  const rings = neighbours + NeighbourTable.bytesFor();
  const rxWorkersTxQueue = rings + cores * coreBytes;
  const rxHome = rxWorkersTxQueue + SpscRing.bytesFor(places.txQueue);
  const end = rxHome + SpscRing.bytesFor(places.rxHome);
  return { places, coreBytes, words, mac, neighbours, rings, rxWorkersTxQueue, rxHome, end };
}

export class Interconnect {
  readonly plan: BufferPlan;
  private readonly layout: ReturnType<typeof layoutOf>;
  /** The link's state, 1 or 0, and whether there are new asks: words that several threads write. */
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
    // Made here, since the cores may attach before the Rx worker does.
    interconnect.neighbourTable();
    return interconnect;
  }

  /** Whether another thread sends than receives: 2 KB. */
  get hasTxWorker(): boolean {
    return this.share.hasTxWorker;
  }

  /** What {@link Interconnect}'s constructor takes in another thread. */
  shared(): InterconnectShare {
    return this.share;
  }

  /** One side of a core's ring. One instance a side: producer and consumer each attach once. */
  ring(core: number, kind: RingOfCore): SpscRing {
    const { rings, coreBytes, places } = this.layout;
    let offset = rings + core * coreBytes;
    for (const before of RINGS_A_CORE) {
      if (before === kind) break;
      offset += SpscRing.bytesFor(places[before]);
    }
    return new SpscRing(this.share.buffer, offset, places[kind]);
  }

  /** All cores' rings of a kind. */
  rings(kind: RingOfCore): SpscRing[] {
    return Array.from({ length: this.plan.cores }, (_, core) => this.ring(core, kind));
  }

  /** One side of a core's questions to the Rx worker, and of the answers. */
  mail(core: number): { asks: NeighbourMail; answers: NeighbourMail } {
    return { asks: new NeighbourMail(this.ring(core, 'asks')), answers: new NeighbourMail(this.ring(core, 'answers')) };
  }

  /** The Rx worker's own tx_queue: its ARP frames. */
  rxWorkersTxQueue(): SpscRing {
    return new SpscRing(this.share.buffer, this.layout.rxWorkersTxQueue, this.layout.places.txQueue);
  }

  /** Received buffers that the Tx worker has sent, on their way back to the Rx worker (2 KB). */
  rxHome(): SpscRing {
    return new SpscRing(this.share.buffer, this.layout.rxHome, this.layout.places.rxHome);
  }

  coreDoorbell(core: number): Doorbell {
    return new Doorbell(this.allWords, core * DOORBELL_WORDS);
  }

  /** A core listens to its own. */
  coreListener(core: number): DoorbellListener {
    return new DoorbellListener(this.allWords, core * DOORBELL_WORDS);
  }

  rxDoorbell(): Doorbell {
    return this.coreDoorbell(this.plan.cores);
  }

  rxListener(): DoorbellListener {
    return this.coreListener(this.plan.cores);
  }

  /** Of the thread that sends: the Tx worker, or the one that does both. */
  txDoorbell(): Doorbell {
    return this.share.hasTxWorker ? this.coreDoorbell(this.plan.cores + 1) : this.rxDoorbell();
  }

  /** For a Tx worker alone. */
  txListener(): DoorbellListener {
    return this.coreListener(this.plan.cores + 1);
  }

  /** For the one writer: the Rx worker. */
  neighbourTable(): NeighbourTable {
    return new NeighbourTable(this.share.buffer, this.layout.neighbours);
  }

  neighbourReader(): NeighbourReader {
    return new NeighbourReader(this.share.buffer, this.layout.neighbours);
  }

  /** The own MAC address, three memory words; the Rx worker's to write. */
  macWords(): Uint16Array {
    return new Uint16Array(this.share.buffer, this.layout.mac, 3);
  }

  get isLinkUp(): boolean {
    return Atomics.load(this.words, 0) === 1;
  }

  set isLinkUp(isUp: boolean) {
    Atomics.store(this.words, 0, isUp ? 1 : 0);
  }

  /** Says that some core has put a question into its ring. */
  setAsked(): void {
    Atomics.store(this.words, LINE / 4, 1);
  }

  /** Whether a question may wait. */
  get isAsked(): boolean {
    return Atomics.load(this.words, LINE / 4) !== 0;
  }

  /** As {@link isAsked}; true once for all that came until now. */
  takeAsked(): boolean {
    // At each poll: a plain load, which may see a question a little later. Who wants to sleep asks isAsked.
    if (this.words[LINE / 4] === 0) return false;
    Atomics.store(this.words, LINE / 4, 0);
    return true;
  }
}
