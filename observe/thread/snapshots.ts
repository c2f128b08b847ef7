/** Asks the main thread for its counters, for all who want them, and not too often. */
import { RequestError } from '../control/requests.js';
import { timeNow } from './messages.js';

/** The shortest time between two questions, in ms. A snapshot takes the main thread some 20 µs. */
const INTERVAL_MS = 20;
/** A main thread that has not answered for this long hangs, or is stopped, in ms. It answers when its event loop runs. */
const PATIENCE_MS = 2000;

/** A question, and all who wait for its answer. */
class Question {
  readonly answer: Promise<object>;
  private resolve: (value: object) => void = () => {};
  private reject: (reason: Error) => void = () => {};
  private timer: NodeJS.Timeout | undefined;
  askedAt = 0;

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.answer.catch(() => {});
  }

  asked(): void {
    this.askedAt = timeNow();
    const silence = `the main thread has not answered for ${PATIENCE_MS / 1000} s: it hangs, or the process was stopped`;
    this.timer = setTimeout(() => this.reject(new RequestError(silence)), PATIENCE_MS);
  }

  answered(value: object): void {
    clearTimeout(this.timer);
    this.resolve(value);
  }
}

export class Snapshots {
  /** Questions that the main thread has not answered yet, in order. */
  private readonly open: Question[] = [];
  /** How long the event loop of the main thread took to see the last question, in ms. */
  delayMs = 0;
  /** Will be asked soon; null: there is none. */
  private next: Question | null = null;
  private askedAt = Number.NEGATIVE_INFINITY;

  /** @param ask asks the main thread, which answers each question, in order: {@link take} */
  constructor(private readonly ask: () => void) {}

  /**
   * Returns a snapshot that is taken after this call.
   * @throws (rejects) RequestError when the main thread does not answer
   */
  get(): Promise<object> {
    // A main thread that has not answered for a while is not asked again and again.
    const waiting = this.open.at(1);
    if (waiting !== undefined) return waiting.answer;
    if (this.next === null) {
      this.next = new Question();
      const wait = this.askedAt + INTERVAL_MS - performance.now();
      if (wait > 0) setTimeout(() => this.askNow(), wait);
      else this.askNow();
    }
    return (this.next ?? this.open[this.open.length - 1]).answer;
  }

  /**
   * Takes the answer to the oldest question.
   * @param seenAt when the main thread saw it
   */
  take(value: object, seenAt: number): void {
    const question = this.open.shift();
    if (question === undefined) return;
    this.delayMs = Math.max(0, seenAt - question.askedAt);
    question.answered(value);
  }

  private askNow(): void {
    if (this.next === null) return;
    this.askedAt = performance.now();
    this.open.push(this.next);
    this.next.asked();
    this.next = null;
    this.ask();
  }
}
