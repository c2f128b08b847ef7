/**
 * A TCP server in a few lines: it sends back what comes to one port.
 *
 *     npx tspmd run --device vhost-user:/tmp/tspmd-vm1.sock --ip 10.0.0.1/24 --mac 52:54:00:00:00:01 \
 *       --app dist/examples/tcp-echo.js --app-option port=7
 *
 * The stack answers pings, too. With several cores, each core has a stack and a listener of its own, and soft RSS brings
 * every packet of a connection to the core that has it.
 */
import type { Core, Stack, StackOptions } from 'tspmd';
import { type Connection, TcpIp } from 'tspmd/tcpip';

export const layer = 'ip';
export const offloads = 'auto';

/** What the send buffer of a connection had no room for. It is the `context` of the connection. */
type Rest = Uint8Array | undefined;

function write(c: Connection, bytes: Uint8Array): void {
  const taken = c.write(bytes);
  if (taken === bytes.length) {
    c.context = undefined;
    c.resume();
  } else {
    // The peer does not read. `bytes` are valid during the call only, so the rest is copied; no more comes for now.
    c.context = bytes.slice(taken);
    c.pause();
  }
}

export default function createTcpEcho(core: Core, { port = 7 }: StackOptions): Stack {
  const net = new TcpIp(core);
  net.tcp.listen(
    { port: Number(port), noDelay: true },
    {
      data: (c, bytes, offset, length) => write(c, bytes.subarray(offset, offset + length)),
      drain(c) {
        const rest = c.context as Rest;
        if (rest !== undefined) write(c, rest);
      },
      // Comes after all data, and not while the connection is paused.
      end: (c) => c.end(),
    },
  );
  return net;
}
