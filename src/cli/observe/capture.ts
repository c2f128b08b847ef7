/** `tspmd capture`: copies of the packets of a running process, as a pcapng file or stream. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { messageOf } from '../../../drivers/log/message-of.js';
import type { CaptureSummary } from '../../../observe/capture/session.js';
import { CaptureStream } from '../../../observe/control/capture-stream.js';
import { findProcesses, hasAnswered, problemsOf } from '../../../observe/control/client.js';
import type { ControlFile } from '../../../observe/control/files.js';
import type { RunningProcess } from '../../../observe/control/process-info.js';
import { warn } from '../output/lines.js';
import { outputEnd } from '../output/output-end.js';
import { untilStopped } from '../shutdown.js';

export interface CaptureOptions {
  /** A file; `-` is stdout. */
  readonly output: string;
  readonly port?: string;
  readonly direction?: 'in' | 'out';
  readonly filter?: string;
  readonly snaplen?: number;
  readonly count?: number;
  readonly duration?: number;
  readonly drops?: boolean;
}

type Target = ControlFile & { readonly result: RunningProcess };

/**
 * Captures until a signal, `--count`, `--duration`, or the end of the process. Rejects with one line when the process cannot be
 * asked, or the output cannot be written.
 */
export async function capture(word: string | undefined, options: CaptureOptions): Promise<void> {
  const { output, ...request } = options;
  if (output === '-' && process.stdout.isTTY) {
    throw new Error('a capture is no text: name a file (--output FILE.pcapng), or pipe it (| wireshark -k -i -)');
  }
  const target = await targetOf(word);
  const stopped = untilStopped();
  const stream = await CaptureStream.open(target, request);
  let file: Writable;
  try {
    file = await opened(output);
  } catch (error) {
    stream.stop();
    throw new Error(`${output}: cannot be written: ${messageOf(error)}`);
  }
  void stopped.then(() => stream.stop());
  const { kind, pid, name } = target.result;
  warn(`capturing packets of ${kind} ${pid} (${name}) into ${output === '-' ? 'stdout' : output}; Ctrl-C ends it`);
  const summary = await written(stream, file, output);
  if (summary === undefined) return;
  if (summary === null) warn(`${kind} ${pid} has ended; what it had captured until then is in the file`);
  else warn(summaryOf(summary.packets, summary.lost));
}

function summaryOf(packets: number, lost: number): string {
  const captured = `captured ${packets} packet${packets === 1 ? '' : 's'}`;
  return lost === 0 ? captured : `${captured}; lost ${lost}, because the capture was read too slowly`;
}

/** The only process that the word names. */
async function targetOf(word: string | undefined): Promise<Target> {
  const found = await findProcesses(word);
  const answered = found.filter(hasAnswered);
  if (answered.length === 1) return answered[0];
  if (answered.length === 0) throw new Error(problemsOf(found).join('\n'));
  const all = answered.map(({ pid, result }) => `${pid} (${result.name})`).join(', ');
  throw new Error(`several processes are meant: ${all}; name one by its process id: tspmd capture PID`);
}

async function opened(output: string): Promise<Writable> {
  if (output === '-') return process.stdout;
  const file = createWriteStream(output);
  await once(file, 'open');
  return file;
}

/**
 * Writes all that comes.
 * @returns what the stream returns; undefined when the reader of stdout has gone
 */
async function written(
  stream: CaptureStream,
  file: Writable,
  output: string,
): Promise<CaptureSummary | null | undefined> {
  const isStdout = file === process.stdout;
  let fault: Error | null = null;
  let isGone = false;
  /** Ends the wait for the piece that is being written. One at a time: a capture may have millions of pieces. */
  let giveUp = (): void => {};
  const failed = (error: Error | null): void => {
    fault ??= error;
    isGone = true;
    giveUp();
  };
  file.on('error', failed);
  if (isStdout) void outputEnd.then(() => failed(null));
  const gone = Symbol('gone');
  try {
    const summary = await stream.read(async (piece) => {
      await new Promise<void>((resolve) => {
        giveUp = resolve;
        if (isGone) resolve();
        else file.write(piece, () => resolve());
      });
      if (isGone) throw gone;
    });
    if (!isStdout) await new Promise<void>((resolve) => file.end(resolve));
    if (!isGone) return summary;
  } catch (error) {
    if (error !== gone) throw error;
  }
  if (isStdout) return undefined;
  throw new Error(`${output}: cannot be written: ${messageOf(fault)}; what was written until then stays`);
}
