/** What a session of the backend tells. */
import type { QueuePair } from './queue-pair.js';

/** What a notice is about. */
export type NoticeKind =
  | 'refused message'
  | 'ignored message'
  | 'broken ring'
  | 'unserved peer'
  | 'no frontend'
  | 'slow signals'
  | 'hanging close';

export interface SessionEvents {
  /** A ring was kicked. */
  onKick(pair: QueuePair): void;
  /** Queues of a pair appeared or disappeared. */
  onChange(): void;
  /** The connection has ended; the session is to be disposed of. */
  onClose(reason: string): void;
  /**
   * Something worth a line: a refused request, a broken ring. A peer can cause any number of them, so that whoever writes them
   * down limits them by kind. What the peer chose of the text is quoted.
   */
  onNotice(line: string, kind: NoticeKind): void;
}
