/** Looks names up over a device, and prints a line of JSON for each: `node lookup.main.js DEVICE IP SERVERS NAME...`. */

import { init } from '../../../src/index.js';
import { HostsFile } from '../../../src/node/dns/hosts-file.js';
import { createDns } from '../../../src/node/dns/lookup.js';
import { Resolver } from '../../../src/node/dns/resolver.js';
import { TcpIp } from '../../../src/tcpip/index.js';

const [device, ip, servers, ...names] = process.argv.slice(2) as [string, string, string, ...string[]];
const port = await init({ device, ip, hugepages: 'never' });
const core = port.core();
const net = new TcpIp(core);
const stop = new AbortController();
const stopped = net.run(stop.signal);
const resolver = new Resolver({
  ...{ udp: net.udp, tcp: net.tcp, servers: servers.split(','), search: ['search.test'] },
  flush: () => core.flush(),
});
const dns = createDns(new HostsFile(), resolver);
for (const name of names) {
  const found: unknown = await dns.promises
    .lookup(name, { all: true })
    .catch((error: unknown) => ({ ...(error as object) }));
  console.log(JSON.stringify(found));
}
console.log(JSON.stringify(resolver.report()));
stop.abort();
await stopped;
await port.stop();
