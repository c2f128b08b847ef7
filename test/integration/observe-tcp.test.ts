/** What is seen of the TCP of a running process, while the Linux kernel has connections to it: against `ss`, curl and nc. */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import type { ConnectionList, TcpFigures } from '../../src/index.js';
import { KERNELS, KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';
import { ALL_MODES, MODES, type Mode, stackCores } from '../support/threads/modes.js';

const LIMIT = { timeout: 60_000 };
/** Connections that stay open, and those that the server has closed first. */
const OPEN = 6;
const CLOSED = 3;
/** Other processes of the machine have others. */
const NAME = `server-${process.pid}`;
const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

const needs = [...TCP_PEERS, ...['ss', 'curl', 'nc.openbsd'].map(command)];

describeWith('the TCP of a process that is looked into', needs, () => {
  let lab: KernelLab;
  const before = process.env.XDG_RUNTIME_DIR;

  beforeEach(async () => {
    lab = await KernelLab.start();
    process.env.XDG_RUNTIME_DIR = dirname(lab.file('socket'));
  });

  afterEach(async () => {
    await lab?.close();
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });

  async function startServer(kind: 'run' | 'exec', mode: Mode): Promise<void> {
    const options = ['--name', NAME, ...MODES[mode]];
    if (kind === 'run') {
      await lab.endpoint('--app', 'http', ...options);
      return;
    }
    const file = lab.file('server.mjs');
    writeFileSync(
      file,
      `import { createServer } from 'node:http';
       createServer((_, response) => response.end('x'.repeat(100))).listen(80, () => console.log('listening'));`,
    );
    const all = new RegExp(Array<string>(stackCores(mode)).fill('listening').join('[^]*'));
    await lab.program(all, [file], { options });
  }

  /** Runs a program in the namespace, and returns what it prints. */
  async function output(program: string, ...args: string[]): Promise<string> {
    const { code, stdout, output: all } = await lab.run(20, program, ...args);
    expect(code, all).toBe(0);
    return stdout;
  }

  const stats = (...args: string[]): Promise<string> => output(...Child.commandLine('stats', NAME, ...args));

  async function figures(): Promise<TcpFigures[]> {
    return (JSON.parse(await stats('--json')) as { port: { tcp: TcpFigures[] } }).port.tcp;
  }

  const count = (cores: readonly TcpFigures[], state: string): number =>
    cores.reduce((sum, { states }) => sum + states[state]!, 0);

  /** Asks the process on its control socket. */
  async function ask(kind: string, pid: number, request: object): Promise<ConnectionList> {
    const path = lab.file(`tspmd-${kind}-${pid}.sock`);
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`)).setEncoding('utf8');
    let text = '';
    for await (const part of socket) {
      text += part as string;
      if (text.endsWith('\n')) break;
    }
    const reply = JSON.parse(text) as { ok: boolean; result: ConnectionList };
    expect(reply.ok, text).toBe(true);
    return reply.result;
  }

  it.each(ALL_MODES.flatMap((mode) => [['run', mode] as const, ['exec', mode] as const]))(
    'is what the kernel at the other end has: tspmd %s, mode %s',
    LIMIT,
    async (kind, mode) => {
      await startServer(kind, mode);
      // With HTTP/1.0, the server ends the connection.
      for (let i = 0; i < CLOSED; i++) await output('curl', '-sS0', '--max-time', '15', `http://${OURS}/`);
      for (let i = 0; i < OPEN; i++) lab.start('nc.openbsd', OURS, '80').write(REQUEST);
      let cores: TcpFigures[] = [];
      for (let tries = 0; tries < 100 && count(cores, 'ESTABLISHED') < OPEN; tries++) cores = await figures();
      expect(cores).toHaveLength(stackCores(mode));
      expect(count(cores, 'ESTABLISHED')).toBe(OPEN);
      expect(count(cores, 'TIME-WAIT')).toBe(CLOSED);
      const samples = cores.reduce((sum, { rtt }) => sum + rtt.count, 0);
      expect(samples).toBeGreaterThanOrEqual(OPEN + CLOSED);
      expect(cores.reduce((sum, { rtt }) => sum + rtt.sum, 0)).toBeGreaterThan(0);

      const text = await stats();
      expect(text).toMatch(
        /^ {2}connections: (?:\d+ [A-Z0-9-]+(?:, )?)+; RTT median [\d.]+ ms, p99 [\d.]+ ms \(\d+ samples?\)$/m,
      );
      const pid = Number(/^\w+ (\d+) \(/.exec(text)![1]);
      const { total, connections } = await ask(kind, pid, { command: 'connections', sort: 'state' });
      expect(total).toBe(OPEN + CLOSED);
      const open = connections.slice(0, OPEN);
      expect(connections.map(({ state }) => state)).toEqual([
        ...Array<string>(OPEN).fill('ESTABLISHED'),
        ...Array<string>(CLOSED).fill('TIME-WAIT'),
      ]);
      const kernels = await output('ss', '-tnH', 'state', 'established');
      const locals = Array.from(kernels.matchAll(new RegExp(`${KERNELS}:\\d+`, 'g')), ([address]) => address);
      expect(open.map(({ remote }) => remote).sort()).toEqual(locals.sort());
      for (const { local, core, rtt, minRtt, mss, bytesIn, bytesOut, inFlight, unsent } of open) {
        expect([local, bytesIn, inFlight, unsent]).toEqual([`${OURS}:80`, REQUEST.length, 0, 0]);
        expect(core).toBeLessThan(stackCores(mode));
        expect(Math.min(rtt, minRtt, mss, bytesOut)).toBeGreaterThan(0);
      }
      const few = await ask(kind, pid, { command: 'connections', limit: 2, sort: 'rtt' });
      expect(few.total).toBe(OPEN + CLOSED);
      expect(few.connections[0]!.rtt).toBe(Math.max(...open.map(({ rtt }) => rtt)));
      expect(few.connections).toHaveLength(2);
    },
  );
});
