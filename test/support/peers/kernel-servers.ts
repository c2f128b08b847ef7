/** HTTP servers on the kernel's TCP, in the namespace of a lab. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Child } from '../../../scripts/child.js';
import { KERNELS, type KernelLab } from './kernel-lab.js';

const NODE_SERVER = fileURLToPath(new URL('../../../dist/test/support/peers/kernel-http.main.js', import.meta.url));

/** nginx in one process, with all its files in the folder of the lab. It serves that folder. */
const nginxConfiguration = (folder: string, port: number): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/nginx-${name};`).join('\n  ')}
  server {
    listen ${KERNELS}:${port};
    root ${folder};
  }
}
`;

/** Starts nginx with the files of the lab's folder; resolves when it listens. */
export async function startNginx(lab: KernelLab, port: number): Promise<Child> {
  const configuration = lab.file('nginx.conf');
  writeFileSync(configuration, nginxConfiguration(lab.file('.'), port));
  const nginx = lab.start('nginx', '-e', 'stderr', '-c', configuration);
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
