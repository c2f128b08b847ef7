/**
 * Asks running processes, each on its control socket. A process that hangs does not delay the others.
 */
import { connect } from 'node:net';
import { type ControlFile, controlFiles, isAlive, mayAsk, removeStale, searchedFolders } from './files.js';
import { isNamed, type ProcessStats, type RunningProcess } from './process-info.js';
import type { Reply } from './requests.js';

/**
 * How long to wait for an answer, in ms. The thread that answers waits for the main thread for two seconds and then says
 * so; a longer wait means that the whole process is stopped.
 */
const ANSWER_MS = 3000;
/** More than the longest answer, in characters. */
const MAX_ANSWER = 1 << 24;
/** The most processes of other users that are reported. Anyone can put sockets into /tmp. */
const MAX_FOREIGN = 8;

/** What a process has answered, or the reason why it gave no answer. */
export type Answer<T> = ControlFile & ({ readonly result: T } | { readonly problem: string });

export const hasAnswered = <T>(answer: Answer<T>): answer is ControlFile & { readonly result: T } => 'result' in answer;

/**
 * Asks all processes for what they are. Removes the sockets of dead ones.
 * @returns the answers by process id. A process that does not answer, or that belongs to another user, is among them
 * with its problem
 */
export async function listProcesses(folders: readonly string[] = searchedFolders()): Promise<Answer<RunningProcess>[]> {
  const files = controlFiles(folders);
  const foreign = files.filter((file) => !mayAsk(file) && isAlive(file.pid)).slice(0, MAX_FOREIGN);
  const asked = await Promise.all(files.filter(mayAsk).map((file) => ask(file, 'info', isInfo)));
  const refused = foreign.map((file): Answer<RunningProcess> => {
    const [who, how] = file.owner === 0 ? ['root', 'sudo'] : [`user ${file.owner}`, `sudo -u '#${file.owner}'`];
    const problem = `${titleOf(file)} belongs to ${who}, so this user may not ask it; try: ${how} tspmd stats ${file.pid}`;
    return { ...file, problem };
  });
  return [...asked.filter((answer) => answer !== null), ...refused].sort((one, other) => one.pid - other.pid);
}

/**
 * Finds running processes by a word: process id, name or device; without a word, all.
 * @throws (rejects) when there is none
 */
export async function findProcesses(
  word?: string,
  folders: readonly string[] = searchedFolders(),
): Promise<Answer<RunningProcess>[]> {
  const all = await listProcesses(folders);
  const found = all.filter(
    (answer) =>
      word === undefined || (hasAnswered(answer) ? isNamed(word, answer.result) : String(answer.pid) === word),
  );
  if (found.length > 0) return found;
  if (all.length === 0) {
    throw new Error(
      `no process of tspmd is running (no control socket in ${folders.join(' or ')}); start one: tspmd run, tspmd exec, tspmd switch`,
    );
  }
  const names = all.map((answer) => `${answer.pid}${hasAnswered(answer) ? ` (${answer.result.name})` : ''}`);
  throw new Error(
    `no running process has the process id, name or device '${word}'; there are: ${names.join(', ')} (tspmd list)`,
  );
}

/** Asks one process for its counters. Resolves with null, and removes the socket, if no process listens on it. */
export function askStats(file: ControlFile): Promise<Answer<ProcessStats> | null> {
  return ask(file, 'stats', isStats);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function isInfo(value: unknown): value is RunningProcess {
  return (
    isObject(value) &&
    typeof value.pid === 'number' &&
    typeof value.name === 'string' &&
    Array.isArray(value.devices) &&
    value.devices.every((device) => typeof device === 'string')
  );
}

const isStats = (value: unknown): value is ProcessStats =>
  isObject(value) && isInfo(value.process) && (isObject(value.port) || isObject(value.switch));

const titleOf = ({ kind, pid }: ControlFile): string => `${kind} ${pid}`;

function ask<T>(
  file: ControlFile,
  command: string,
  isExpected: (value: unknown) => value is T,
): Promise<Answer<T> | null> {
  return new Promise((resolve) => {
    const socket = connect(file.path, () => socket.write(`${JSON.stringify({ command })}\n`));
    let text = '';
    const finish = (answer: Answer<T> | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const problem = (what: string): void => finish({ ...file, problem: `${titleOf(file)} ${what}` });
    const timer = setTimeout(() => problem(`does not answer (waited ${ANSWER_MS / 1000} s)`), ANSWER_MS);
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      const end = part.indexOf('\n');
      text += part;
      if (end < 0) {
        if (text.length > MAX_ANSWER) problem('answers without end');
        return;
      }
      const reply = parse(text.slice(0, text.length - part.length + end));
      if (reply === null) problem('answers with something that is no reply');
      else if (!reply.ok) problem(`says: ${reply.error}`);
      else if (isExpected(reply.result)) finish({ ...file, result: reply.result });
      else problem(`answers '${command}' with something else`);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeStale(file.path);
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') finish(null);
      // The queue of waiting connections is full: the process has accepted none for some time.
      else if (error.code === 'EAGAIN') problem('does not answer');
      else problem(`cannot be asked: ${error.message}`);
    });
    socket.on('end', () => problem('ended before it had answered'));
  });
}

/** Returns the reply in the text, or null if the text is none. */
function parse(text: string): Reply | null {
  try {
    const reply = JSON.parse(text) as { ok?: unknown; error?: unknown } | null;
    if (reply?.ok === true) return reply as Reply;
    return reply?.ok === false && typeof reply.error === 'string' ? (reply as Reply) : null;
  } catch {
    return null;
  }
}
