/** nginx as its users set it up for many small requests; one process, on the CPU of the server. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What nginx says when it listens and its event loop begins. */
export const NGINX_READY = /using the "epoll" event method/;

/** The settings that make it fast; for `more` of a row, too. */
export const NGINX_SETTINGS: Readonly<Record<string, string>> = {
  worker_processes: '1',
  worker_connections: '65536',
  accept_mutex: 'off',
  multi_accept: 'on',
  access_log: 'off',
  keepalive_requests: '1000000000',
  keepalive_timeout: '1h',
  sendfile: 'on',
  tcp_nopush: 'on',
  tcp_nodelay: 'on',
  open_file_cache: 'max=1000 inactive=1h',
  'listen backlog': '65535',
  response: '`return 200` from memory',
};

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/**
 * Writes a configuration whose files are all in `folder`.
 * @param body what each request is answered with
 * @returns the arguments of `nginx`
 */
export function configureNginx(folder: string, body: string): string[] {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(folder, body));
  return ['-e', 'stderr', '-p', folder, '-c', file];
}

function configuration(folder: string, body: string): string {
  const paths = TEMPORARY.map((name) => `  ${name}_temp_path ${join(folder, name)};`);
  const own = (names: readonly string[]): string[] => names.map((name) => `  ${name} ${NGINX_SETTINGS[name]};`);
  return [
    // One process is a whole worker: the benchmark stops and counts it by its pid.
    ...['daemon off;', 'master_process off;', `worker_processes ${NGINX_SETTINGS.worker_processes};`],
    ...['error_log stderr notice;', `pid ${join(folder, 'nginx.pid')};`],
    ...['events {', '  use epoll;', ...own(['worker_connections', 'accept_mutex', 'multi_accept']), '}'],
    ...['http {', '  server_tokens off;', '  default_type text/html;', ...paths],
    ...own(['access_log', 'keepalive_requests', 'keepalive_timeout', 'sendfile', 'tcp_nopush', 'tcp_nodelay']),
    ...own(['open_file_cache']),
    `  server { listen 80 backlog=${NGINX_SETTINGS['listen backlog']}; location / { return 200 ${quoted(body)}; } }`,
    '}\n',
  ].join('\n');
}

/** A text in a configuration may have several lines. */
function quoted(text: string): string {
  if (/['$\\]/.test(text)) throw new Error('nginx: the body has a character with a meaning of its own');
  return `'${text}'`;
}
