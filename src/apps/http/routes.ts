/** From the method and the target of a request to what answers it. */
import { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT } from './message/request.js';

export type Route =
  | { readonly kind: 'page' }
  | { readonly kind: 'bytes'; readonly size: number }
  | { readonly kind: 'sink'; readonly hash: boolean }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'error'; readonly status: number; readonly allow?: string };

const BYTES = /^\/bytes\/(\d{1,15})$/;
/** The absolute form, which a server must understand (RFC 9112, 3.2.2). */
const ABSOLUTE = /^https?:\/\/[^/?#]*/i;
const NOT_FOUND: Route = { kind: 'error', status: 404 };
const BAD: Route = { kind: 'error', status: 400 };

const READ = 'GET, HEAD';
const WRITE = 'POST, PUT';

/** @param hasFiles whether there is a folder with files; `/bytes/N` and `/sink` are there in any case */
export function routeOf(method: number, target: string, hasFiles: boolean): Route {
  const origin = target.replace(ABSOLUTE, '') || '/';
  // `*` is only for OPTIONS (RFC 9112, 3.2.4).
  if (!origin.startsWith('/') || origin.includes('#')) return BAD;
  const mark = origin.indexOf('?');
  const path = mark < 0 ? origin : origin.slice(0, mark);
  const query = mark < 0 ? '' : origin.slice(mark + 1);
  if (path === '/sink') {
    return method === METHOD_POST || method === METHOD_PUT ? sink(query) : wrongMethod(WRITE);
  }
  const route = readable(path, hasFiles);
  if (route.kind === 'error') return route;
  return method === METHOD_GET || method === METHOD_HEAD ? route : wrongMethod(READ);
}

function readable(path: string, hasFiles: boolean): Route {
  const [, size] = BYTES.exec(path) ?? [];
  if (size !== undefined) return { kind: 'bytes', size: Number(size) };
  if (hasFiles) return { kind: 'file', path };
  return path === '/' ? { kind: 'page' } : NOT_FOUND;
}

function sink(query: string): Route {
  if (query === '') return { kind: 'sink', hash: false };
  return query === 'hash=sha256' ? { kind: 'sink', hash: true } : BAD;
}

function wrongMethod(allow: string): Route {
  return { kind: 'error', status: 405, allow };
}
