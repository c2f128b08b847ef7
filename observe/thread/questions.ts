/** Asks the main thread, for all who want to know something, and not too often. */
import { RequestError } from '../control/requests.js';
import { type Args, timeNow } from './messages.js';

/** The shortest time between two questions of a kind, in ms. A snapshot takes the main thread some 20 µs. */
const INTERVAL_MS = 20;
/** A main thread that has not answered for this long hangs, or is stopped, in ms. It answers when its event loop runs. */
const PATIENCE_MS = 2000;
/** While the main thread has so many questions of a kind to answer, it is not asked more of them. */
const MOST_OPEN = 2;

/** A question, and all who wait for its answer. */
class Question {
  readonly answer: Promise<unknown>;
  private resolve: (value: unknown) => void = () => {};
  private reject: (reason: Error) => void = () => {};
  private timer: NodeJS.Timeout | undefined;
  askedAt = 0;

  /** @param key the same for questions that have the same answer */
  constructor(
    readonly args: Args,
    readonly key: string,
  ) {
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.answer.catch(() => {});
  }

  asked(): void {
    this.askedAt = timeNow();
    this.waits();
  }

  /** It is refused if it is neither asked nor answered soon. */
  waits(refused = (): void => {}): void {
    clearTimeout(this.timer);
    const silence = `the main thread has not answered for ${PATIENCE_MS / 1000} s: it hangs, or the process was stopped`;
    this.timer = setTimeout(() => {
      this.reject(new RequestError(silence));
      refused();
    }, PATIENCE_MS);
  }

  answered(value: unknown): void {
    clearTimeout(this.timer);
    this.resolve(value);
  }

  failed(fault: string): void {
    clearTimeout(this.timer);
    this.reject(new RequestError(fault));
  }
}

/** The questions of one kind. */
class Line {
  /** Questions that the main thread has not answered yet, in order. */
  private readonly open: Question[] = [];
  /** Will be asked, one after the other. No two have the same key. */
  private readonly next = new Map<string, Question>();
  private timer: NodeJS.Timeout | null = null;
  private askedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly ask: (question: Question) => void) {}

  get(args: Args): Promise<unknown> {
    const key = JSON.stringify(args);
    // A main thread that has not answered for a while is not asked again and again.
    if (this.isFull) {
      const same = this.open.slice(1).find((question) => question.key === key);
      if (same !== undefined) return same.answer;
    }
    let question = this.next.get(key);
    if (question === undefined) {
      question = new Question(args, key);
      this.next.set(key, question);
      question.waits(() => this.next.delete(key));
      this.askNext();
    }
    return question.answer;
  }

  close(question: Question): void {
    this.open.splice(this.open.indexOf(question), 1);
    this.askNext();
  }

  private get isFull(): boolean {
    return this.open.length >= MOST_OPEN;
  }

  /** Asks the next question, or comes back when it may. */
  private askNext(): void {
    if (this.isFull || this.timer !== null) return;
    const [question] = this.next.values();
    if (question === undefined) return;
    const wait = this.askedAt + INTERVAL_MS - performance.now();
    if (wait > 0) {
      this.timer = setTimeout(() => {
        this.timer = null;
        this.askNext();
      }, wait);
      return;
    }
    this.next.delete(question.key);
    this.askedAt = performance.now();
    this.open.push(question);
    question.asked();
    this.ask(question);
    this.askNext();
  }
}

export class Questions {
  /** How long the event loop of the main thread took to see the last question, in ms. */
  delayMs = 0;
  private readonly lines = new Map<string, Line>();
  private readonly open = new Map<number, { readonly line: Line; readonly question: Question }>();
  private lastId = 0;

  /** @param tell asks the main thread, which answers each question: {@link take} */
  constructor(private readonly tell: (id: number, what: string, args: Args) => void) {}

  /**
   * Returns an answer that is given after this call. Questions with the same arguments share one; those with others wait for
   * their turn.
   * @throws (rejects) RequestError when the main thread does not answer, or says why it cannot
   */
  get(what: string, args: Args = {}): Promise<unknown> {
    let line = this.lines.get(what);
    if (line === undefined) {
      line = this.lineOf(what);
      this.lines.set(what, line);
    }
    return line.get(args);
  }

  /**
   * Takes the answer to a question.
   * @param seenAt when the main thread saw the question
   */
  take(id: number, seenAt: number, answer: { readonly value: unknown } | { readonly fault: string }): void {
    const asked = this.open.get(id);
    if (asked === undefined) return;
    this.open.delete(id);
    const { line, question } = asked;
    this.delayMs = Math.max(0, seenAt - question.askedAt);
    if ('fault' in answer) question.failed(answer.fault);
    else question.answered(answer.value);
    line.close(question);
  }

  private lineOf(what: string): Line {
    const line: Line = new Line((question) => {
      const id = ++this.lastId;
      this.open.set(id, { line, question });
      this.tell(id, what, question.args);
    });
    return line;
  }
}
