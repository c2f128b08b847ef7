/** A control socket that gives the answers that a test wants, one per command. */
import { createServer, type Server, type Socket } from 'node:net';
import { controlPath } from '../../../observe/control/files.js';
import type { ProcessKind, RunningProcess } from '../../../observe/control/process-info.js';

/** The answer to a request; undefined: there is no such command. */
export type Script = (request: Readonly<Record<string, unknown>>) => unknown;

export class ScriptedControl {
  /** All requests so far. */
  readonly requests: Readonly<Record<string, unknown>>[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly script: Script,
  ) {
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.setEncoding('utf8').on('data', (line: string) => this.answer(socket, line));
    });
  }

  /** Listens as the control socket of a process. */
  static async start(folder: string, kind: ProcessKind, pid: number, script: Script): Promise<ScriptedControl> {
    const control = new ScriptedControl(createServer(), script);
    await new Promise<void>((resolve) => control.server.listen(controlPath(folder, kind, pid), resolve));
    return control;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(socket: Socket, line: string): void {
    const request = JSON.parse(line) as Readonly<Record<string, unknown>>;
    this.requests.push(request);
    const result = this.script(request);
    const reply =
      result === undefined ? { ok: false, error: `there is no command '${request.command}'` } : { ok: true, result };
    socket.write(`${JSON.stringify(reply)}\n`);
  }
}

/** What a process says of itself. */
export const about = (pid: number, more: Partial<RunningProcess> = {}): RunningProcess => ({
  ...{ pid, kind: 'run', name: 'web', state: 'ready', devices: ['vhost-user:/run/vm1.sock'], address: '10.0.0.1/24' },
  ...{ mode: '2kb', version: '0.1.0', uptime: 185, ...more },
});
