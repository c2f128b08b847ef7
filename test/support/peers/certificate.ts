/** A certificate for the servers of a lab, made by openssl. */
import type { KernelLab } from './kernel-lab.js';

export interface Certificate {
  /** Path of the private key, PEM. */
  readonly key: string;
  /** Path of the certificate, PEM. It is its own authority. */
  readonly cert: string;
}

/** Makes a certificate for some addresses and for the name `server.lab`. */
export async function makeCertificate(lab: KernelLab, ...addresses: string[]): Promise<Certificate> {
  const key = lab.file('key.pem');
  const cert = lab.file('cert.pem');
  const names = ['DNS:server.lab', ...addresses.map((address) => `IP:${address}`)].join(',');
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert];
  const says = ['-days', '2', '-subj', '/CN=server.lab', '-addext', `subjectAltName=${names}`];
  const { code, output } = await lab.run(20, 'openssl', 'req', '-x509', ...made, ...says);
  if (code !== 0) throw new Error(`openssl: ${output}`);
  return { key, cert };
}
