/**
 * Asks running processes, each on its control socket. A process that hangs does not delay the others. Root also asks those
 * of other users, so nothing of an answer is trusted: every field is checked, and everything has a bound.
 */
import { connect } from 'node:net';
import { type ControlFile, controlFiles, isAlive, isOurs, mayAsk, removeStale, searchedFolders } from './files.js';
import { isNamed, isRunningProcess, type ProcessStats, type RunningProcess } from './process-info.js';
import { type Request, replyOf } from './requests.js';

/**
 * How long to wait for an answer, in ms. The thread that answers waits for the main thread for two seconds and then says
 * so; a longer wait means that the whole process is stopped.
 */
export const ANSWER_MS = 3000;
/** More than the longest answer to each command, in characters. */
const MAX_INFO = 1 << 16;
const MAX_STATS = 1 << 24;
/** The most processes of other users that are asked or reported. Anyone can put sockets into /tmp. */
const MAX_FOREIGN = 64;
/** How many are asked at a time. */
const AT_ONCE = 16;
/** The most characters of what a process says of a problem. */
const MAX_ERROR = 500;

/** What a process has answered, or the reason why it gave no answer. */
export type Answer<T> = ControlFile & ({ readonly result: T } | { readonly problem: string });

export const hasAnswered = <T>(answer: Answer<T>): answer is ControlFile & { readonly result: T } => 'result' in answer;

/** Returns the lines of the processes that have not answered. */
export const problemsOf = (answers: readonly Answer<unknown>[]): string[] =>
  answers.flatMap((answer) => ('problem' in answer ? [answer.problem] : []));

/**
 * Asks all processes for what they are. Removes the sockets of dead ones.
 * @returns the answers by process id. A process that does not answer, or that belongs to another user, is among them
 * with its problem
 */
export async function listProcesses(folders: readonly string[] = searchedFolders()): Promise<Answer<RunningProcess>[]> {
  const files = controlFiles(folders);
  const foreign = files.filter((file) => !isOurs(file) && isAlive(file.pid)).slice(0, MAX_FOREIGN);
  const asked = await askAll([...files.filter(isOurs), ...foreign.filter(mayAsk)], askInfo);
  const refused = foreign.filter((file) => !mayAsk(file)).map(refuse);
  return [...asked, ...refused].sort((one, other) => one.pid - other.pid);
}

function refuse(file: ControlFile): Answer<never> {
  const [who, how] = file.owner === 0 ? ['root', 'sudo'] : [`user ${file.owner}`, `sudo -u '#${file.owner}'`];
  const problem = `${titleOf(file)} belongs to ${who}, so this user may not ask it; try: ${how} tspmd stats ${file.pid}`;
  return { ...file, problem };
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

/**
 * Asks processes for their counters; only those of {@link listProcesses} that have answered may be asked. A process on whose
 * socket nobody listens any more is not among the answers.
 */
export function askStats(processes: readonly ControlFile[]): Promise<Answer<ProcessStats>[]> {
  return askAll(processes, (file) =>
    ask(
      file,
      { command: 'stats' },
      MAX_STATS,
      (value): value is ProcessStats => isStats(value) && isOf(file, value.process),
    ),
  );
}

function askInfo(file: ControlFile): Promise<Answer<RunningProcess> | null> {
  return ask(
    file,
    { command: 'info' },
    MAX_INFO,
    (value): value is RunningProcess => isRunningProcess(value) && isOf(file, value),
  );
}

/** Whether a process says that it is the one to whose file its answer belongs. */
const isOf = ({ pid, kind }: ControlFile, about: RunningProcess): boolean => about.pid === pid && about.kind === kind;

function isStats(value: unknown): value is ProcessStats {
  if (typeof value !== 'object' || value === null) return false;
  const { process, port, switch: bess } = value as Partial<ProcessStats>;
  const isObject = (part: unknown): boolean => typeof part === 'object' && part !== null;
  return isRunningProcess(process) && (isObject(port) || isObject(bess));
}

/** Asks all of them, some at a time. */
async function askAll<T>(
  files: readonly ControlFile[],
  askOne: (file: ControlFile) => Promise<Answer<T> | null>,
): Promise<Answer<T>[]> {
  const answers: Answer<T>[] = [];
  for (let i = 0; i < files.length; i += AT_ONCE) {
    const some = await Promise.all(files.slice(i, i + AT_ONCE).map(askOne));
    answers.push(...some.filter((answer) => answer !== null));
  }
  return answers;
}

const titleOf = ({ kind, pid }: ControlFile): string => `${kind} ${pid}`;

/**
 * Asks a process; only one of {@link listProcesses} that has answered may be asked.
 * @param request the command, with its arguments
 * @param most the most characters that an answer may have
 * @param isExpected whether a result is what was asked for
 * @returns null when nobody listens on its socket any more
 */
export function ask<T>(
  { kind, pid, path, owner }: ControlFile,
  request: Request & Readonly<Record<string, unknown>>,
  most: number,
  isExpected: (value: unknown) => value is T,
): Promise<Answer<T> | null> {
  const file = { kind, pid, path, owner };
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
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
        if (text.length > most) problem('answers without end');
        return;
      }
      const reply = replyOf(text.slice(0, text.length - part.length + end));
      if (reply === null) problem('answers with something that is no reply');
      else if (!reply.ok) problem(`says: ${reply.error.slice(0, MAX_ERROR)}`);
      else if (isExpected(reply.result)) finish({ ...file, result: reply.result });
      else problem(`answers '${request.command}' with something else`);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeStale(path);
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') finish(null);
      // The queue of waiting connections is full: the process has accepted none for some time.
      else if (error.code === 'EAGAIN') problem('does not answer');
      else problem(`cannot be asked: ${error.message}`);
    });
    socket.on('end', () => problem('ended before it had answered'));
  });
}
