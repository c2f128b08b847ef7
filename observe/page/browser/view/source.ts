/** Gets the news of the process, connects again when the connection is lost, and says when they are old. */
import { type News, parseNews } from '../model/told.js';

export type SourceState = 'connecting' | 'live' | 'stale';

/** News are old after this time, in ms: they come every second, or after two while the main thread hangs. */
const OLD_MS = 4000;
/** The browser gives up when the server refuses it. It is tried again after this time, in ms. */
const AGAIN_MS = 3000;
const LOOK_MS = 500;

export class Source {
  private lastAt: number | null = null;
  private events: EventSource | null = null;
  private isWaiting = false;

  constructor(
    private readonly onNews: (news: News) => void,
    /** @param seconds how old the last news are */
    private readonly onState: (state: SourceState, seconds: number) => void,
  ) {
    this.connect();
    setInterval(() => this.look(), LOOK_MS);
  }

  private connect(): void {
    this.isWaiting = false;
    this.events?.close();
    const events = new EventSource('events');
    this.events = events;
    events.addEventListener('message', ({ data }: MessageEvent<string>) => {
      const news = parseNews(data);
      if (news === null) return;
      this.lastAt = performance.now();
      this.onState('live', 0);
      this.onNews(news);
    });
    events.addEventListener('error', () => this.look());
  }

  private look(): void {
    const age = this.lastAt === null ? 0 : performance.now() - this.lastAt;
    if (this.lastAt === null) this.onState('connecting', 0);
    else if (age > OLD_MS) this.onState('stale', age / 1000);
    if (this.events?.readyState !== EventSource.CLOSED || this.isWaiting) return;
    this.isWaiting = true;
    setTimeout(() => this.connect(), AGAIN_MS);
  }
}
