/** The request that is being answered: what is needed of it after its head has gone. */
import type { Hash } from 'node:crypto';
import { KEEP_ALIVE } from './answers.js';
import type { Route } from './routes.js';

export class PendingRequest {
  route: Route = { kind: 'page' };
  isHead = false;
  /** KEEP_ALIVE, KEEP_ALIVE_TOLD or CLOSE of `answers.ts`. */
  connection = KEEP_ALIVE;
  /** Value of `Range`, empty without one. */
  range = '';
  /** Of the content, for `/sink?hash=sha256`. */
  hash: Hash | null = null;
}
