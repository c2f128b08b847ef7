/** The server of `bench -- exec`: an HTTP server as any Node program has. It knows nothing of tspmd. */
import { createServer } from 'node:http';

createServer((_, response) => response.end('hello\n')).listen(80, '0.0.0.0', () => process.stdout.write('listening\n'));
