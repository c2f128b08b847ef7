/**
 * Prints the addresses of names, as the programs of this machine find them. It knows nothing of tspmd.
 *
 *     node dist/examples/node/resolve.js www.lab
 */
import { lookup } from 'node:dns/promises';

for (const name of process.argv.slice(2)) {
  try {
    const { address } = await lookup(name, { family: 4 });
    console.log(`${name} ${address}`);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
