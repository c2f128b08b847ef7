/**
 * An HTTP server as any Node program has: it knows nothing of tspmd. Arguments: what it answers; for HTTPS, the files of a
 * key and of a certificate.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { answerWith } from './hello.js';
import { HTTPS_PORT } from './setup.js';

/** The kernel lowers it to net.core.somaxconn. */
const BACKLOG = 65_535;

const [body = '', ...files] = process.argv.slice(2);
const [key, cert] = files.map((file) => readFileSync(file));
const isSecure = key !== undefined && cert !== undefined;
const server = isSecure ? createSecureServer({ key, cert }, answerWith(body)) : createServer(answerWith(body));
server.listen(isSecure ? HTTPS_PORT : 80, '0.0.0.0', BACKLOG, () => process.stdout.write('listening\n'));
