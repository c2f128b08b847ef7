/** Serves the live page, and its news. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostOf, isOwnName } from '../http/hosts.js';
import { type Route, refuse } from '../http/server.js';
import { MAX_VIEWERS, type Viewers } from './viewers.js';

/** The page with its style and script, which the build makes (scripts/bundle/page.ts): beside this file. */
const PAGE = new URL('./page.html', import.meta.url);

/** For the page and its news alike: nobody else's page may read, frame or store them. */
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
};

/**
 * @param host the host that the server was told to listen on
 * @throws when the page was not built
 */
export function pageRoutes(viewers: Viewers, host: string): Map<string, Route> {
  const html = readPage();
  const policy = policyOf(html);
  const isOurs = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (isOwnName(hostOf(request), host)) return true;
    refuse(response, 403, 'ask by an address, or by the name of this machine');
    return false;
  };
  const page: Route = (request, response) => {
    if (!isOurs(request, response)) return;
    const about = { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(html) };
    response.writeHead(200, { ...HEADERS, ...about, 'content-security-policy': policy });
    response.end(request.method === 'HEAD' ? undefined : html);
  };
  const events: Route = (request, response) => {
    if (!isOurs(request, response)) return;
    // Another site's page could not read them, but would take the place of a viewer.
    const site = request.headers['sec-fetch-site'] ?? 'none';
    if (site !== 'same-origin' && site !== 'none') return refuse(response, 403, 'this is for the page itself');
    const about = { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' };
    if (request.method === 'HEAD') {
      response.writeHead(200, about).end();
      return;
    }
    response.statusCode = 200;
    for (const [name, value] of Object.entries(about)) response.setHeader(name, value);
    if (viewers.add(response)) return;
    refuse(response, 503, `${MAX_VIEWERS} viewers look at this page already; close one`);
  };
  return new Map([
    ['/', page],
    ['/events', events],
  ]);
}

function readPage(): string {
  try {
    return readFileSync(PAGE, 'utf8');
  } catch (error) {
    throw new Error('--page: the page was not built; run: npm run build', { cause: error });
  }
}

/** Allows exactly the style and the script of the page, and news from where the page came from. */
function policyOf(html: string): string {
  const hashes = (element: string): string => {
    const bodies = html.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'gs'));
    return Array.from(bodies, ([, body]) => `'sha256-${createHash('sha256').update(body).digest('base64')}'`).join(' ');
  };
  return [
    `default-src 'none'; style-src ${hashes('style')}; script-src ${hashes('script')}; connect-src 'self'`,
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ].join('; ');
}
