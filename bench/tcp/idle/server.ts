/** Our server of the row of idle connections, on the API of the stack. It does what `node-server.ts` does. */
import { init } from '../../../src/index.js';
import { TcpIp } from '../../../src/tcpip/index.js';
import { answerRequests } from '../../common/bench-process.js';
import type { ServerPlace } from '../../common/sides.js';
import { collectGarbage } from './collect-garbage.js';
import { CONNECTIONS, ECHO_PORTS } from './setup.js';

const BACKLOG = 4096;

const { cpu, ...place } = JSON.parse(process.argv[2]) as ServerPlace;
const port = await init({ ...place, cores: [cpu], idle: 'spin' });
const net = new TcpIp(port.core(), { maxConnections: CONNECTIONS + BACKLOG });
let connections = 0;
for (const echo of ECHO_PORTS) {
  net.tcp.listen(
    { port: echo, backlog: BACKLOG, noDelay: true },
    {
      open() {
        connections++;
      },
      data: (c, bytes, offset, length) => void c.write(bytes, offset, length),
      end: (c) => c.end(),
      close() {
        connections--;
      },
    },
  );
}

const end = new AbortController();
process.once('SIGTERM', () => end.abort());
answerRequests(
  () => {
    collectGarbage();
    return connections;
  },
  () => end.abort(),
);
await net.run(end.signal);
await port.stop();
process.exit();
