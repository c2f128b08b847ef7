/** Heads of responses, and the short bodies that the server makes itself. */
import { ascii } from './message/ascii.js';

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  206: 'Partial Content',
  301: 'Moved Permanently',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
};

export const TEXT = 'text/plain; charset=utf-8';

/** RFC 9110, 10.1.1. */
export const CONTINUE = ascii('HTTP/1.1 100 Continue\r\n\r\n');

/** How the connection goes on after a response. */
export const KEEP_ALIVE = 0;
/** An HTTP/1.0 client has to be told (RFC 9112, 9.3). */
export const KEEP_ALIVE_TOLD = 1;
export const CLOSE = 2;

const CONNECTION = ['', 'Connection: keep-alive\r\n', 'Connection: close\r\n'];

/**
 * Returns the head of a response. It does not have the time of day, because the server asks nobody for the time of day.
 * @param more further field lines, each with its CR LF
 */
export function headOf(status: number, type: string, length: number, connection: number, more = ''): string {
  return (
    `HTTP/1.1 ${status} ${REASONS[status]}\r\n` +
    `Content-Type: ${type}\r\nContent-Length: ${length}\r\n${more}${CONNECTION[connection]}\r\n`
  );
}

/** Returns a whole response whose body is a text. */
export function textAnswer(
  status: number,
  body: string,
  connection: number,
  more = '',
  isHead = false,
  type = TEXT,
): Uint8Array {
  const content = Buffer.from(body);
  const head = Buffer.from(headOf(status, type, content.length, connection, more), 'latin1');
  return isHead ? head : Buffer.concat([head, content]);
}

/** Returns the response for an error: one line that names it. */
export function errorAnswer(status: number, connection: number, more = '', isHead = false): Uint8Array {
  return textAnswer(status, `${status} ${REASONS[status]}\n`, connection, more, isHead);
}

/** The page at `/`. */
export const PAGE = `<!doctype html>
<title>tspmd</title>
<h1>It works</h1>
<p>A TCP/IP stack in TypeScript served this page, without a socket of the kernel.
<p><code>/bytes/N</code> has N bytes; <code>/sink</code> counts what is sent to it.
`;
