/** HTTP servers on the kernel's TCP, in the namespace of a lab. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Child } from '../../../scripts/child.js';
import type { Certificate } from './certificate.js';
import { KERNELS, type KernelLab } from './kernel-lab.js';

const NODE_SERVER = fileURLToPath(new URL('../../../dist/test/support/peers/kernel-http.main.js', import.meta.url));

/** nginx in one process, with all its files in the folder of the lab. It serves that folder. */
const nginxConfiguration = (folder: string, where: string, secure: string): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/nginx-${name};`).join('\n  ')}
  server {
    listen ${where};
    ${secure}
    root ${folder};
  }
}
`;

/** Where nginx runs, and how it serves. */
export interface NginxOptions {
  /** Default: {@link KERNELS}. */
  readonly address?: string;
  /** With it, nginx speaks TLS, and HTTP/2. */
  readonly certificate?: Certificate;
  /** Default: the namespace of the lab. */
  readonly start?: (program: string, ...args: string[]) => Child;
}

/** Starts nginx with the files of the lab's folder; resolves when it listens. */
export async function startNginx(lab: KernelLab, port: number, options: NginxOptions = {}): Promise<Child> {
  const { address = KERNELS, certificate, start = lab.start.bind(lab) } = options;
  const configuration = lab.file(`nginx-${port}.conf`);
  const where = `${address}:${port}${certificate === undefined ? '' : ' ssl http2'}`;
  const secure =
    certificate === undefined ? '' : `ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key};`;
  writeFileSync(configuration, nginxConfiguration(lab.file('.'), where, secure));
  const nginx = start('nginx', '-e', 'stderr', '-c', configuration);
  // It has bound its sockets when it says which methods of events it uses, and the kernel accepts from then on.
  await nginx.waitFor(/using the "\w+" event method/);
  return nginx;
}

/** Starts the server of kernel-http.main.ts; resolves when it listens. */
export async function startNodeServer(lab: KernelLab, port: number): Promise<Child> {
  const server = lab.start(process.execPath, NODE_SERVER, KERNELS, String(port));
  await server.waitFor(/^ready$/m);
  return server;
}
