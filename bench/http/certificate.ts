/** A key and a certificate for the server of `exec/tls`, made by openssl. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export interface Certificate {
  /** Path of the private key, PEM. */
  readonly key: string;
  /** Path of the certificate, PEM. It is its own authority. */
  readonly certificate: string;
}

const TIMEOUT_MS = 20_000;

/** Makes an ECDSA certificate for `localhost` in a folder. */
export function makeCertificate(folder: string): Certificate {
  const key = join(folder, 'key.pem');
  const certificate = join(folder, 'certificate.pem');
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
  const says = ['-out', certificate, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', ...made, ...says], { timeout: TIMEOUT_MS, stdio: 'pipe' });
  return { key, certificate };
}
