/** QEMU's machine protocol (QMP, docs/interop/qmp-spec in QEMU): one line per command, per answer and per event. */
import type { Qemu } from './qemu.js';
import { quote } from './shell.js';

interface Message {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

const POLL_MS = 10;
/** Memory that is in a shared file is not part of the saved state. */
const WITHOUT_MEMORY = { capabilities: [{ capability: 'x-ignore-shared', state: true }] };

export class Monitor {
  private readonly lines: AsyncIterator<string>;

  private constructor(private readonly qemu: Qemu) {
    this.lines = qemu.lines('monitor')[Symbol.asyncIterator]();
  }

  static async connect(qemu: Qemu): Promise<Monitor> {
    const monitor = new Monitor(qemu);
    await monitor.lines.next(); // the greeting
    await monitor.execute('qmp_capabilities');
    return monitor;
  }

  /** Executes a command. Resolves to its result; rejects with QEMU's message. Only one command can run at a time. */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    this.qemu.port('monitor').write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done) return await this.qemu.ended;
      const message = JSON.parse(value) as Message;
      if (message.error !== undefined) throw new Error(`QEMU refused ${command}: ${message.error.desc}`);
      if ('return' in message) return message.return;
    }
  }

  /** Stops the machine and writes the state of its devices to a file, without its memory. */
  async save(path: string): Promise<void> {
    await this.execute('migrate-set-capabilities', WITHOUT_MEMORY);
    await this.execute('migrate', { uri: `exec:cat > ${quote(path)}` });
    for (;;) {
      const { status, 'error-desc': why } = (await this.execute('query-migrate')) as Record<string, unknown>;
      if (status === 'completed') return;
      if (status === 'failed') throw new Error(`QEMU could not save the machine: ${why}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /**
   * Resumes a machine that was started with `-incoming defer` from a saved state.
   * @param fd QEMU's file descriptor of the file with the state
   */
  async resume(fd: number): Promise<void> {
    await this.execute('migrate-set-capabilities', WITHOUT_MEMORY);
    await this.execute('migrate-incoming', { uri: `fd:${fd}` });
  }
}
