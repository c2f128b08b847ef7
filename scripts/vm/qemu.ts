/** QEMU as a process, with the sockets and files of the machine. It tells why the machine ended, and can end it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { searchPath } from '../programs.js';
import { type CommandLine, FILES, PORTS } from './machine.js';

const STOP_TIMEOUT_MS = 3_000;
/** How many characters of QEMU's errors or the guest's console a message contains. */
const TAIL_LENGTH = 4_000;

type Port = keyof typeof PORTS;

export class Qemu {
  /** Rejects when the machine ends by itself, with QEMU's errors or the end of the guest's console. */
  readonly ended: Promise<never>;
  private readonly process: ChildProcess;

  /**
   * @param memory file descriptor of the file that is the guest's memory
   * @param devices file descriptor of the saved state of the devices; absent when the machine boots
   */
  constructor({ program, args }: CommandLine, memory: number, devices?: number) {
    const env = { ...process.env, PATH: searchPath() };
    const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'ignore', 'pipe'];
    for (const number of Object.values(PORTS)) stdio[number] = 'pipe';
    stdio[FILES.memory] = memory;
    stdio[FILES.devices] = devices ?? 'ignore';
    this.process = spawn(program, args, { stdio, env });
    this.ended = this.whyItEnds();
    // Not an unhandled rejection when no caller waits for it.
    this.ended.catch(() => {});
  }

  port(name: Port): Socket {
    const stdio: readonly unknown[] = this.process.stdio;
    return stdio[PORTS[name]] as Socket;
  }

  /** Reads a port line by line. */
  lines(name: Port): Interface {
    // An error of the socket means that QEMU has ended, which `ended` reports.
    return createInterface({ input: this.port(name) }).on('error', () => {});
  }

  /** Ends the machine, and waits for its end. */
  async end(): Promise<void> {
    const { process: qemu } = this;
    if (qemu.pid === undefined || qemu.exitCode !== null || qemu.signalCode !== null) return;
    const exited = once(qemu, 'exit');
    qemu.kill('SIGTERM');
    const timer = setTimeout(() => qemu.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  private whyItEnds(): Promise<never> {
    const { process: qemu } = this;
    // An error of a socket means that QEMU has ended, which is reported below.
    for (const name of Object.keys(PORTS)) this.port(name as Port)?.on('error', () => {});
    const complaints = tailOf(qemu.stderr!);
    const console = tailOf(this.port('console'));
    return new Promise((_, reject) => {
      qemu.on('error', (error) => reject(new Error(`QEMU did not start: ${error.message}`)));
      qemu.on('close', (code, signal) => {
        const how = signal ?? `status ${code}`;
        const complaint = complaints();
        if (code !== 0 && complaint !== '') reject(new Error(`QEMU ended with ${how}: ${complaint}`));
        else reject(new Error(`the guest ended before the command did (QEMU: ${how})\n${console()}`.trim()));
      });
    });
  }
}

/** Collects a stream. The returned function gives the end of what came. */
function tailOf(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-TAIL_LENGTH);
  });
  return () => text.trim();
}
