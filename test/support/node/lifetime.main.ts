/**
 * A program that does one thing with sockets and then ends by itself, or by an error: `lifetime.main.js WHERE WHAT`,
 * with the kernel's sockets or with those of a stack. What it prints and how it ends must not depend on the sockets.
 */
import nodeNet from 'node:net';
import { OWN_ADDRESS, openAlone } from './open-alone.js';
import type { AnyNet } from './scenario.js';
import { portOf } from './scenario.js';

const [where, what = ''] = process.argv.slice(2);
const say = (...words: unknown[]): void => console.log(...words);
const net: AnyNet = where === 'kernel' ? nodeNet : (await openAlone()).net;
const address = where === 'kernel' ? '127.0.0.1' : OWN_ADDRESS;

function serve(onSocket: (socket: nodeNet.Socket) => void, then: (port: number, server: nodeNet.Server) => void): void {
  const server = net.createServer(onSocket);
  server.listen(0, where === 'kernel' ? address : undefined, () => then(portOf(server), server));
}

const connect = (port: number): nodeNet.Socket => net.connect(port, address);
const catchErrors = (): void => {
  process.on('uncaughtException', (error) => say('uncaught', error.message));
};
const fail = (text: string): never => {
  throw new Error(text);
};

const PROGRAMS: Record<string, () => void> = {
  'a server without reference': () =>
    serve(
      () => {},
      (_port, server) => server.unref(),
    ),
  'a server that has its reference back': () =>
    serve(
      () => {},
      (_port, server) => {
        server.unref().ref();
        setTimeout(() => server.close(() => say('closed')), 50).unref();
      },
    ),
  'sockets without references': () =>
    serve(
      (socket) => socket.unref(),
      (port, server) => {
        server.unref();
        const client = connect(port);
        client.on('connect', () => {
          say('connected');
          client.unref();
        });
      },
    ),
  'a socket keeps the process until it ends': () =>
    serve(
      (socket) => {
        setTimeout(() => socket.end('late'), 50).unref();
      },
      (port, server) => {
        server.unref();
        connect(port).on('data', (data) => say(String(data)));
      },
    ),
  'a connect without reference': () =>
    serve(
      () => {},
      (port, server) => {
        server.close();
        const client = connect(port).unref();
        client.on('error', () => {});
      },
    ),
  'an end that nobody reads': () =>
    serve(
      () => {},
      (port, server) => {
        server.close();
        connect(port).end('not read');
      },
    ),
  'an error that nobody handles': () => {
    serve(
      () => {},
      (port, server) => server.close(() => connect(port)),
    );
  },
  'errors thrown in connection, connect, write, data, end': () => {
    catchErrors();
    serve(
      (socket) => {
        socket.on('data', () => fail('in data'));
        socket.on('end', () => fail('in end'));
        fail('in connection');
      },
      (port) => {
        const client = connect(port);
        client.resume();
        client.on('connect', () => fail('in connect'));
        setTimeout(() => client.write('x', () => fail('in write')), 50);
        setTimeout(() => client.end(), 100);
        // The socket whose listener has thrown ends no more.
        setTimeout(() => process.exit(), 400);
      },
    );
  },
  'an error thrown in listening': () => {
    catchErrors();
    serve(
      () => {},
      (_port, server) => {
        server.unref();
        fail('in listening');
      },
    );
  },
  'process.exit in data': () =>
    serve(
      (socket) => socket.on('data', () => process.exit(7)),
      (port) => connect(port).write('x'),
    ),
};

process.on('exit', (code) => say('exit', code));
PROGRAMS[what]?.();
