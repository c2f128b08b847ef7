/** The requests of a control socket: a line of JSON each, and a line of JSON as its answer. */

/** The most that a line with a request may have, in characters. */
export const MAX_REQUEST = 4096;

export interface Request {
  readonly command: string;
  /** Arguments, not checked yet. */
  readonly [name: string]: unknown;
}

/** The answer: what was asked for, or one line that says why not. */
export type Reply = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: string };

/** A request that cannot be answered: its message goes to whoever asks. */
export class RequestError extends Error {}

/** @throws RequestError when the line is no request */
export function parseRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RequestError('a request is a line of JSON, such as {"command":"info"}');
  }
  const command = (value as { command?: unknown } | null)?.command;
  if (typeof command !== 'string') throw new RequestError('a request has a command, such as {"command":"info"}');
  return { ...(value as object), command };
}

/** Returns the reply in the text, or null if the text is none. */
export function replyOf(text: string): Reply | null {
  try {
    const reply = JSON.parse(text) as { ok?: unknown; error?: unknown } | null;
    if (reply?.ok === true) return reply as Reply;
    return reply?.ok === false && typeof reply.error === 'string' ? (reply as Reply) : null;
  } catch {
    return null;
  }
}
