/** `tspmd exec` and `tspmd/register` over the embedded switch, as an ordinary user. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { ExecLab, PROGRAMS } from '../support/node/exec-lab.js';
import { ALL_MODES, CORE_MODES, MODES, stackCores } from '../support/threads/modes.js';

const [MAJOR = 0, MINOR = 0] = process.versions.node.split('.').map(Number);
const RUNS_TYPESCRIPT = MAJOR > 22 || (MAJOR === 22 && MINOR >= 18);

/** Answers with what the program knows about itself. */
const SERVER = `
const http = require('node:http');
const server = http.createServer((request, response) => {
  if (request.url === '/throw') setImmediate(() => { throw new Error('thrown by the program'); });
  if (request.url === '/exit') process.exitCode = 7, server.close();
  if (request.url === '/exit-now') return response.end('bye'), process.exit(5);
  response.setHeader('connection', 'close');
  response.end(JSON.stringify({ argv: process.argv.slice(1), main: require.main === module, url: request.url }));
});
server.listen(80, () => console.log('listening'));
`;
const MODULE = `
import { createServer } from 'node:http';
const text = await Promise.resolve('from a module');
createServer((_, response) => response.end(text)).listen(80, '0.0.0.0', () => console.log('listening'));
`;
const TYPES = `
import { createServer, type Server } from 'node:http';
const server: Server = createServer((_, response) => { response.end('from types'); });
server.listen(80, '${PROGRAMS}', () => console.log('listening'));
`;

describe('a program under tspmd exec', () => {
  let lab: ExecLab;

  beforeAll(async () => {
    lab = new ExecLab();
    await lab.startSwitch();
  });
  afterEach(() => lab.stopEndpoints().catch(() => {}));
  afterAll(() => lab?.close());

  /** Starts a program that prints `listening` on each core. */
  async function serve(...args: string[]): Promise<Child> {
    const child = lab.exec(...args);
    await child.waitFor(/listening/);
    return child;
  }

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    const each = new RegExp(`(?:listening[\\s\\S]*){${stackCores(mode)}}`);

    it('serves, knows its arguments, and dies of a signal', async () => {
      const file = lab.program('server.cjs', SERVER);
      const child = await serve(...MODES[mode], file, '--port', 'x y');
      await child.waitFor(each);
      const answer = { argv: [file, '--port', 'x y'], main: true, url: '/a' };
      expect(JSON.parse(await lab.get('/a'))).toEqual(answer);
      expect(child.output).toMatch(
        new RegExp(
          `^tspmd: 10\\.0\\.0\\.1/24 at 52:54:00:00:00:01 on vhost-user:.*, mode ${mode}: sockets use the stack; 127\\.0\\.0\\.0/8`,
          'm',
        ),
      );
      expect(child.stdout.replaceAll('listening\n', '')).toBe('');
      expect(await child.stop('SIGINT')).toEqual({ code: null, signal: 'SIGINT' });
    });

    it('is an ES module', async () => {
      const child = await serve('--quiet', ...MODES[mode], '--', lab.program('server.mjs', MODULE));
      expect(await lab.get('/')).toBe('from a module');
      expect(child.output).not.toContain('sockets use');
    });

    it.skipIf(!RUNS_TYPESCRIPT)(`is TypeScript${RUNS_TYPESCRIPT ? '' : ' (from Node 22.18 on)'}`, async () => {
      await serve(...MODES[mode], lab.program('server.ts', TYPES));
      expect(await lab.get('/')).toBe('from types');
    });

    it('ends with an exception that nobody catches', async () => {
      const child = await serve(...MODES[mode], lab.program('server.cjs', SERVER));
      await child.waitFor(each);
      await lab.get('/throw');
      expect(await child.exited).toEqual({ code: 1, signal: null });
      expect(child.output).toMatch(/Error: thrown by the program\n {4}at .*server\.cjs:4[\s\S]*Node\.js v\d/);
    });

    it('ends with process.exit, and sends its last answer', async () => {
      const child = await serve(...MODES[mode], lab.program('server.cjs', SERVER));
      await child.waitFor(each);
      expect(await lab.get('/exit-now')).toBe('bye');
      expect(await child.exited).toEqual({ code: 5, signal: null });
    });

    it('ends when it has nothing left to do', async () => {
      const file = lab.program('end.cjs', 'setTimeout(() => { process.exitCode = 3; }, 100); console.log(1);');
      const child = lab.exec('--quiet', ...MODES[mode], file);
      expect(await child.exited).toEqual({ code: 3, signal: null });
      expect(child.stdout).toBe('1\n'.repeat(stackCores(mode)));
    });
  });

  it.each(CORE_MODES)('goes on on the other cores when one has ended (%s)', async (mode) => {
    const text = `${SERVER}\nif (require('node:worker_threads').threadId % 2 === 0) setTimeout(() => { process.exit(); }, 200);`;
    const child = await serve(...MODES[mode], lab.program('half.cjs', text));
    await child.waitFor(/(?:listening[\s\S]*){2}/);
    for (let i = 0; i < 4; i++) expect(JSON.parse(await lab.get(`/${i}`))).toMatchObject({ url: `/${i}` });
    expect(child.isRunning).toBe(true);
  });

  it('handles a signal itself', async () => {
    const text = `
      const server = require('node:net').createServer((socket) => socket.end('bye'));
      process.once('SIGTERM', () => { console.log('handled', process.listenerCount('SIGTERM')); server.close(); });
      server.listen(80, () => console.log('listening'));
      process.on('beforeExit', () => console.log('beforeExit'));
      process.on('exit', (code) => console.log('exit', code));`;
    const child = await serve('--quiet', lab.program('handler.cjs', text));
    expect(await child.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(child.output).toBe('listening\nhandled 1\nbeforeExit\nexit 0\n');
  });

  it('has the default action again when its handler is gone', async () => {
    const text = `
      process.once('SIGTERM', () => console.log('handled'));
      require('node:net').createServer().listen(80, () => console.log('listening'));`;
    const child = await serve('--quiet', lab.program('once.cjs', text));
    child.signal('SIGTERM');
    await child.waitFor(/handled/);
    expect(await child.stop('SIGTERM')).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('reaches its own server by every address, the rest of loopback by the kernel', async () => {
    const text = `
      const net = require('node:net');
      const say = (host) => new Promise((resolve) => {
        const socket = net.connect(4000, host);
        socket.on('data', (data) => { resolve(host + ': ' + data); socket.end(); });
        socket.on('error', (error) => resolve(host + ': ' + error.code));
      });
      const server = net.createServer((socket) => socket.end('the stack, from ' + socket.remoteAddress));
      const kernel = net.createServer((socket) => socket.end('the kernel'));
      server.listen(4000, async () => {
        for (const host of ['127.0.0.1', 'localhost', '::1', '${PROGRAMS}']) console.log(await say(host));
        server.close();
        kernel.listen(0, '127.0.0.1', () => {
          net.connect(kernel.address().port).on('data', (data) => console.log(String(data))).on('close', () => kernel.close());
        });
      });`;
    const child = lab.exec('--quiet', lab.program('self.cjs', text));
    expect(await child.exited).toEqual({ code: 0, signal: null });
    const own = ['127.0.0.1', 'localhost', '::1', PROGRAMS].map((host) => `${host}: the stack, from ${PROGRAMS}\n`);
    expect(child.output).toBe(`${own.join('')}the kernel\n`);
  });

  it('sends datagrams to itself, and to the kernel what nobody here is bound to', async () => {
    const text = `
      const dgram = require('node:dgram');
      const own = dgram.createSocket('udp4');
      const kernel = dgram.createSocket('udp4');
      let left = 3;
      const got = (name) => (message, { address }) => {
        console.log(name + ' ' + message + ' ' + address);
        if (--left === 0) own.close(), kernel.close();
      };
      own.on('message', got('own'));
      kernel.on('message', got('kernel'));
      kernel.bind(0, '127.0.0.1', () => own.bind(5000, () => {
        own.send('a', 5000, '127.0.0.1');
        own.send('b', 5000, '${PROGRAMS}');
        own.send('c', kernel.address().port, '127.0.0.1');
      }));`;
    const child = lab.exec('--quiet', lab.program('udp.cjs', text));
    expect(await child.exited).toEqual({ code: 0, signal: null });
    const lines = child.output.trim().split('\n').sort();
    expect(lines).toEqual(['kernel c 127.0.0.1', `own a ${PROGRAMS}`, `own b ${PROGRAMS}`]);
  });

  it('leaves ports to the kernel', async () => {
    const text = `
      const net = require('node:net');
      const server = net.createServer((socket) => socket.end('kernel')).listen(48123, () => {
        net.connect(48123, '127.0.0.1').on('data', (data) => console.log(String(data))).on('close', () => server.close());
      });`;
    const child = lab.exec('--kernel-ports', '22,48100-48200', lab.program('kernel.cjs', text));
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('kernel\n');
    expect(child.output).toContain('unix sockets, and ports 22,48100-48200 use the kernel');
  });

  it('gets the errors of the kernel', async () => {
    const text = `
      const net = require('node:net');
      const fail = (port, host) => net.createServer().on('error', ({ code, syscall }) => console.log(syscall, code)).listen(port, host);
      const server = net.createServer().listen(80, () => {
        fail(80);
        fail(80, '10.0.0.77');
        net.connect(9, '${PROGRAMS}').on('error', ({ code, syscall }) => { console.log(syscall, code); server.close(); });
      });`;
    const child = lab.exec('--quiet', lab.program('errors.cjs', text));
    expect(await child.exited).toEqual({ code: 0, signal: null });
    const lines = child.output.trim().split('\n').sort();
    expect(lines).toEqual(['connect ECONNREFUSED', 'listen EADDRINUSE', 'listen EADDRNOTAVAIL']);
  });

  it('runs by node --import tspmd/register; its processes and threads use the kernel', async () => {
    const text = `
      import { fork } from 'node:child_process';
      import { createServer } from 'node:http';
      import { connect, createServer as createNetServer } from 'node:net';
      import { Worker } from 'node:worker_threads';
      if (process.argv[2] === 'child') {
        const server = createNetServer((socket) => socket.end()).listen(0, '127.0.0.1', () => {
          connect(server.address().port).on('close', () => server.close()).resume();
        });
        server.on('close', () => process.send('child done', () => process.disconnect()));
      } else {
        fork(new URL(import.meta.url), ['child']).on('message', (text) => console.log(text));
        new Worker("console.log('thread done')", { eval: true });
        createServer((_, response) => response.end('registered')).listen(80, () => console.log('listening'));
      }`;
    const { args, env } = lab.registered(lab.program('registered.mjs', text));
    const child = Child.spawn(process.execPath, args, { ...process.env, ...env });
    try {
      await Promise.all([/listening/, /child done/, /thread done/].map((line) => child.waitFor(line)));
      expect(await lab.get('/')).toBe('registered');
      expect(await child.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    } finally {
      await child.stop('SIGKILL');
    }
  });
});

describe('tspmd exec with wrong arguments', () => {
  const OK = ['--device', 'vhost-user:/nowhere/vm.sock', '--ip', '10.0.0.1/24'];

  it.each([
    ['no program', OK, 2, /^tspmd: missing required argument 'program'$/],
    ['no such program', [...OK, 'nowhere.js'], 2, /^tspmd: program nowhere\.js: there is no such file; .*$/],
    ['wrong ports', [...OK, '--kernel-ports', '0', 'x.js'], 2, /^tspmd: .*'0' is not a list of ports such as .*$/],
    ['a wrong DNS server', [...OK, '--dns', '127.0.0.1', 'x.js'], 2, /^tspmd: .*DNS server '127\.0\.0\.1': .*$/],
    [
      'no device',
      [...OK, import.meta.filename],
      1,
      /^tspmd: vhost-user:\/nowhere\/vm\.sock: there is no such socket.*$/,
    ],
  ])('%s', async (_, args, code, line) => {
    const child = Child.tspmd('exec', ...args);
    expect(await child.exited).toEqual({ code, signal: null });
    expect(child.output.trim()).toMatch(line);
  });

  it('by the environment', async () => {
    const { TSPMD_DEVICE: _, ...env } = process.env;
    const { args } = new ExecLab().registered('x.js');
    const child = Child.spawn(process.execPath, args, { ...env, TSPMD_IP: '10.0.0.1/24', TSPMD_MTU: 'x' });
    expect(await child.exited).toEqual({ code: 2, signal: null });
    expect(child.output).toBe(
      "tspmd: TSPMD_DEVICE is not set; tspmd/register needs it: TSPMD_DEVICE=vhost-user:/tmp/tspmd-vm1.sock\ntspmd: TSPMD_MTU: 'x' is not a whole number\n",
    );
  });
});
