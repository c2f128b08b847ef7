/** What the Node programs of `bench -- http` answer to every request. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export const HELLO = 'hello\n';

export function answerWith(body: string): (_: IncomingMessage, response: ServerResponse) => void {
  return (_, response) => void response.end(body);
}
