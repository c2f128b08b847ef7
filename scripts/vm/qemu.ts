/** QEMU as a process: the machine's sockets and files, why it ended, ending it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { type CommandLine, FILES, PORTS } from './machine.js';

const STOP_TIMEOUT_MS = 3_000;
/** As much of QEMU's errors or the guest's console as a message may have. */
const TAIL = 4_000;

type Port = keyof typeof PORTS;

export class Qemu {
  /** Rejects when the machine ends by itself, with QEMU's complaint or the guest's last words. */
  readonly ended: Promise<never>;
  private readonly process: ChildProcess;

  /**
   * @param memory the file that is the guest's memory
   * @param devices that with the state of its devices, where the machine goes on from one
   */
  constructor({ program, args }: CommandLine, memory: number, devices?: number) {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'ignore', 'pipe'];
    for (const number of Object.values(PORTS)) stdio[number] = 'pipe';
    stdio[FILES.memory] = memory;
    stdio[FILES.devices] = devices ?? 'ignore';
    this.process = spawn(program, args, { stdio, env });
    this.ended = this.whyItEnds();
    // Often nobody asks.
    this.ended.catch(() => {});
  }

  port(name: Port): Socket {
    const stdio: readonly unknown[] = this.process.stdio;
    return stdio[PORTS[name]] as Socket;
  }

  /** What comes from a port, by line. */
  lines(name: Port): Interface {
    // It has the socket's errors as its own, which mean that QEMU is gone.
    return createInterface({ input: this.port(name) }).on('error', () => {});
  }

  /** Ends the machine, and waits until it has. */
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
    // A socket's error means that QEMU is gone, which is told below.
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

/** What comes last out of a stream. */
function tailOf(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-TAIL);
  });
  return () => text.trim();
}
