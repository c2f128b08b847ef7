/** What a session of the backend reports. */
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
  /** The connection has ended: dispose of the session. */
  onClose(reason: string): void;
  /**
   * Something worth a line: a refused request, a broken ring. A peer can cause any number of them, so the code that
   * writes them must limit them by kind. Text that the peer chose is quoted.
   */
  onNotice(line: string, kind: NoticeKind): void;
}
