/** PostgreSQL and Redis from Debian's packages, in the namespace of a lab. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, writeFileSync } from 'node:fs';
import { isInstalled } from '../../../scripts/programs.js';
import type { Requirement } from '../requirements.js';
import { temporaryDirectory } from '../resources.js';
import type { Certificate } from './certificate.js';
import { KERNELS, type KernelLab } from './kernel-lab.js';

const VERSIONS = '/usr/lib/postgresql';
/** PostgreSQL does not run as root. */
const USER = 'postgres';
export const PASSWORD = 'a secret';

function newestVersion(): string | undefined {
  try {
    return readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a))[0];
  } catch {
    return undefined;
  }
}

export const postgresql: Requirement = {
  what: 'PostgreSQL',
  remedy: "run 'npm run setup:peers' as root",
  isMet: () => newestVersion() !== undefined && isInstalled('setpriv'),
};

/** A server that runs, and the function that stops it and removes its files. */
export interface Database {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts PostgreSQL with passwords and TLS; resolves when it accepts connections. */
export async function startPostgres(lab: KernelLab, port: number, { key, cert }: Certificate): Promise<Database> {
  const directory = temporaryDirectory();
  const file = (name: string): string => `${directory.path}/${name}`;
  const asUser = ['--reuid', USER, '--regid', USER, '--init-groups'];
  const program = (name: string): string => `${VERSIONS}/${newestVersion()}/bin/${name}`;
  writeFileSync(file('password'), PASSWORD);
  cpSync(key, file('key.pem'));
  cpSync(cert, file('cert.pem'));
  chmodSync(file('key.pem'), 0o600);
  execFileSync('chown', ['-R', `${USER}:${USER}`, directory.path]);
  const made = ['-D', file('data'), '-A', 'scram-sha-256', `--pwfile=${file('password')}`, '--no-sync', '-E', 'UTF8'];
  const { code, output } = await lab.run(60, 'setpriv', ...asUser, program('initdb'), ...made, '--locale=C');
  if (code !== 0) throw new Error(`initdb: ${output}`);
  writeFileSync(file('data/pg_hba.conf'), 'host all all 10.0.0.0/24 scram-sha-256\n');
  const settings = {
    listen_addresses: KERNELS,
    port,
    unix_socket_directories: '',
    fsync: 'off',
    ssl: 'on',
    ssl_key_file: file('key.pem'),
    ssl_cert_file: file('cert.pem'),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = lab.start('setpriv', ...asUser, program('postgres'), '-D', file('data'), ...options);
  await server.waitFor(/database system is ready to accept connections/, 30_000);
  return {
    port,
    stop: async () => {
      // A fast shutdown: it does not wait for the clients.
      await server.stop('SIGINT');
      directory.remove();
    },
  };
}

/** Starts Redis; resolves when it accepts connections. */
export async function startRedis(lab: KernelLab, port: number): Promise<Database> {
  const options = ['--bind', KERNELS, '--port', String(port), '--save', '', '--dir', lab.file('.')];
  const server = lab.start('redis-server', ...options, '--requirepass', PASSWORD);
  await server.waitFor(/Ready to accept connections/);
  return {
    port,
    stop: async () => {
      await server.stop();
    },
  };
}
