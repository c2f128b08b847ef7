/**
 * Those who look at the live page: all get the same news, once per second, as server-sent events. While nobody looks,
 * nothing is asked. A viewer that does not read gets no more news, and is disconnected soon.
 */
import type { ServerResponse } from 'node:http';

/** The most viewers at a time. */
export const MAX_VIEWERS = 8;
/** Time between two news, in ms. */
const PERIOD_MS = 1000;
/** A viewer that has not read the last news when the next come misses these; after so many in a row it is dropped. */
const MAX_MISSED = 5;
/** How long a browser waits before it connects again, in ms. */
const RETRY_MS = 2000;

/** How many there are, and what has become of others. */
export interface ViewerCounts {
  readonly watching: number;
  /** Turned away, because there were {@link MAX_VIEWERS}. */
  readonly refused: number;
  /** Disconnected, because they did not read. */
  readonly dropped: number;
}

interface Viewer {
  readonly response: ServerResponse;
  missed: number;
}

export class Viewers {
  private readonly open = new Set<Viewer>();
  private timer: NodeJS.Timeout | null = null;
  private isAsking = false;
  private refused = 0;
  private dropped = 0;

  /**
   * @param news returns what all viewers are told: JSON, so without a line feed
   * @param periodMs time between two news
   */
  constructor(
    private readonly news: () => Promise<string>,
    private readonly periodMs = PERIOD_MS,
  ) {}

  get counts(): ViewerCounts {
    return { watching: this.open.size, refused: this.refused, dropped: this.dropped };
  }

  /** Begins to tell the news to a client. @returns false when there are too many already */
  add(response: ServerResponse): boolean {
    if (this.open.size >= MAX_VIEWERS) {
      this.refused++;
      return false;
    }
    const viewer = { response, missed: 0 };
    this.open.add(viewer);
    response.on('close', () => this.open.delete(viewer));
    response.write(`retry: ${RETRY_MS}\n\n`);
    // The first one need not wait; the others get the next news.
    if (this.timer === null && !this.isAsking) void this.tell();
    return true;
  }

  /** Disconnects all. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    for (const { response } of this.open) response.destroy();
    this.open.clear();
  }

  private async tell(): Promise<void> {
    this.timer = null;
    const began = performance.now();
    this.isAsking = true;
    const news = await this.news().catch(() => null);
    this.isAsking = false;
    if (news !== null) for (const viewer of this.open) this.tellOne(viewer, `data: ${news}\n\n`);
    if (this.open.size === 0) return;
    this.timer = setTimeout(() => void this.tell(), Math.max(0, began + this.periodMs - performance.now()));
  }

  private tellOne(viewer: Viewer, text: string): void {
    const { response } = viewer;
    if (response.writableLength === 0) {
      viewer.missed = 0;
      response.write(text);
    } else if (++viewer.missed >= MAX_MISSED) {
      this.dropped++;
      this.open.delete(viewer);
      response.destroy();
    }
  }
}
