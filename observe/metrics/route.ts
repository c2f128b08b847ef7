/** Serves metrics, for Prometheus and others. */
import type { Route } from '../http/server.js';
import { contentTypeFor, expose } from './exposition.js';
import type { Family } from './family.js';

export function metricsRoute(families: () => Promise<readonly Family[]>): Route {
  return async (request, response) => {
    const type = contentTypeFor(request.headers.accept);
    const text = await expose(await families(), type);
    response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
}
