/**
 * What the two sides of a lent transmit queue share, as a model: the words and the channel between them, in place of
 * those of Atomics and node:worker_threads. Imports neither side.
 */
import {
  type BorrowerMessage,
  CONTROL_WORDS,
  type OwnerMessage,
  STATE,
} from '../../../drivers/virtio/lending/tx-loan.js';
import { access } from '../../model/step-by-step.js';

export type Side = 'owner' | 'borrower';
export type Message = OwnerMessage | BorrowerMessage;

/** All that both threads share. */
export interface SharedState {
  words: number[];
  /** Messages on their way to each side. */
  mail: Record<Side, Message[]>;
  /** Which side has closed its end of the channel, and which side was told that the channel is closed. */
  closed: Record<Side, boolean>;
  told: Record<Side, boolean>;
  /** 1 from a call of `wake` until the borrower has seen it. */
  wakes: number;
  /** From the owner's reset of the ring until the next start. */
  isOwnersRing: boolean;
  isLent: boolean;
  /** The borrower's thread has ended, at any place. */
  isDead: boolean;
}

const other = (side: Side): Side => (side === 'owner' ? 'borrower' : 'owner');

/** An index that no ring has. */
const BROKEN_INDEX = 500;

export function newSharedState(): SharedState {
  return {
    words: new Array<number>(CONTROL_WORDS).fill(0),
    mail: { owner: [], borrower: [] },
    closed: { owner: false, borrower: false },
    told: { owner: false, borrower: false },
    ...{ wakes: 0, isOwnersRing: false, isLent: false, isDead: false },
  };
}

export function copyOf(sharedState: SharedState): SharedState {
  const { words, mail, closed, told } = sharedState;
  return {
    ...sharedState,
    words: [...words],
    mail: { owner: [...mail.owner], borrower: [...mail.borrower] },
    closed: { ...closed },
    told: { ...told },
  };
}

/** The state in which the present step is made, and the faults that are put into it. */
export interface PresentStep {
  sharedState: SharedState;
  /** A word whose stores are exchanged with the access after them: a wrong order. */
  late: number | null;
  /** Whether the device breaks the ring in its first start. */
  breaks: boolean;
}

export const presentStep: PresentStep = { sharedState: newSharedState(), late: null, breaks: false };
let held: { index: number; value: number } | null = null;

function store(index: number, value: number): void {
  access(() => {
    presentStep.sharedState.words[index] = value;
    if (index === STATE && (value & 1) === 1) presentStep.sharedState.isOwnersRing = false;
  });
}

/** Makes an access, and after it the store that was held back. */
export function shared<T>(perform: () => T): T {
  const result = access(perform);
  releaseHeld();
  return result;
}

/** No store is held back from one task to the next. */
export function beginTask(): void {
  held = null;
}

export function releaseHeld(): void {
  const late = held;
  held = null;
  if (late !== null) store(late.index, late.value);
}

/** One end of a channel, in the state of the present step. */
export class Port {
  readonly handlers = new Map<string, (message?: Message) => void>();

  constructor(private readonly side: Side) {}

  on(event: string, handler: (message?: Message) => void): void {
    this.handlers.set(event, handler);
  }

  unref(): void {}

  postMessage(message: Message): void {
    shared(() => {
      const { mail, closed } = presentStep.sharedState;
      if (!closed.owner && !closed.borrower) mail[other(this.side)].push(message);
    });
  }

  close(): void {
    shared(() => {
      presentStep.sharedState.closed[this.side] = true;
      presentStep.sharedState.mail[this.side] = [];
    });
  }
}

let ownersPort: Port;

/** These stand in for those of node:worker_threads. */
export class MessageChannel {
  readonly port1 = new Port('owner');
  readonly port2 = null;

  constructor() {
    ownersPort = this.port1;
  }
}

export function receiveMessageOnPort(): { message: Message } | undefined {
  return shared(() => {
    const message = presentStep.sharedState.mail.borrower.shift();
    return message && { message };
  });
}

/** The owner's end of the channel that was made last. */
export const portOfOwner = (): Port => ownersPort;

/** Replaces the shared words by those of the model during an exploration. Returns a function that undoes that. */
export function modelAtomics(): () => void {
  const { load, store: storePlain } = Atomics;
  const isControl = (array: unknown): boolean => (array as Int32Array).length === CONTROL_WORDS;
  Object.assign(Atomics, {
    load: (array: Int32Array, index: number) => {
      if (isControl(array)) return shared(() => presentStep.sharedState.words[index]!);
      // Any other word is the index of the ring up to which the device has used it: nothing, or more than there is.
      return shared(() => {
        if (presentStep.sharedState.isOwnersRing)
          throw new Error('the borrower is in the ring, which the owner has reset');
        return presentStep.breaks && presentStep.sharedState.words[STATE] === 1 ? BROKEN_INDEX : load(array, index);
      });
    },
    store: (array: Int32Array, index: number, value: number) => {
      if (!isControl(array)) return storePlain(array, index, value);
      if (index === presentStep.late) held = { index, value };
      else store(index, value);
      return value;
    },
  });
  return () => {
    Object.assign(Atomics, { load, store: storePlain });
  };
}
