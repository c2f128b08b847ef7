/** Asks running switches for their counters, each on its control socket and in its own time: one that hangs delays no other. */
import { connect } from 'node:net';
import {
  type ControlFile,
  controlFiles,
  controlFolders,
  controlPath,
  isAlive,
  isOurs,
  removeStale,
} from './control-files.js';
import type { SwitchStats } from './stats.js';

/** A switch answers between two slices of its worker; one that does not in this time, in ms, is stuck. */
const ANSWER_MS = 3000;
/** Longer than any answer, in bytes. */
const MAX_ANSWER = 1 << 24;
/** Switches of other users that are told of: anyone may put sockets into /tmp. */
const MAX_FOREIGN = 8;

/** What became of the question to one switch. */
export type Answer =
  | { readonly pid: number; readonly stats: SwitchStats }
  | { readonly pid: number; readonly problem: string };

/**
 * Asks every switch of this user, or the one with process id `pid`. A switch that does not answer, and one of another user, is
 * among the answers with what is the matter; the socket of a dead one is removed. Throws when there is no switch.
 */
export async function askSwitches(pid?: number, folders: readonly string[] = controlFolders()): Promise<Answer[]> {
  const files = controlFiles(folders).filter((file) => pid === undefined || file.pid === pid);
  const foreign = files.filter((file) => !isOurs(file) && isAlive(file.pid));
  const asked = await Promise.all(files.filter(isOurs).map(ask));
  const answers: Answer[] = asked.filter((answer) => answer !== null);
  for (const { pid: other, owner } of foreign.slice(0, MAX_FOREIGN)) {
    const [who, how] = owner === 0 ? ['root', 'sudo'] : [`user ${owner}`, `sudo -u '#${owner}'`];
    const problem = `switch ${other} is run by ${who}, and this user may not ask it; try: ${how} tspmd switch --stats ${other}`;
    answers.push({ pid: other, problem });
  }
  if (answers.length > 0) return answers;
  if (pid !== undefined) {
    const sockets = folders.map((folder) => controlPath(folder, pid)).join(' or ');
    throw new Error(`no switch runs as process ${pid} (no socket ${sockets})`);
  }
  throw new Error(`no switch is running (no socket in ${folders.join(' or ')}); start one: tspmd switch FILE.bess`);
}

/** The counters of one switch; throws where it does not answer. */
export async function fetchStats(pid: number): Promise<SwitchStats> {
  const [answer] = await askSwitches(pid);
  if ('problem' in answer) throw new Error(answer.problem);
  return answer.stats;
}

/** What one switch of this user answers; null where no process listens any more (the socket is removed then). */
function ask({ pid, path }: ControlFile): Promise<Answer | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = '';
    const finish = (answer: Answer | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const problem = (what: string): void => finish({ pid, problem: `switch ${pid} ${what}` });
    const timer = setTimeout(() => problem(`does not answer (waited ${ANSWER_MS / 1000} s)`), ANSWER_MS);
    socket.setEncoding('utf8');
    socket.on('data', (part) => {
      text += part;
      if (text.length > MAX_ANSWER) problem('answers with something else than counters');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeStale(path);
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') finish(null);
      // The queue of its connections is full: it has accepted none for some time.
      else if (error.code === 'EAGAIN') problem('does not answer');
      else problem(`cannot be asked: ${error.message}`);
    });
    socket.on('end', () => {
      const stats = parse(text);
      if (stats === null) problem('ended while it answered');
      else finish({ pid, stats });
    });
  });
}

function parse(text: string): SwitchStats | null {
  try {
    const stats = JSON.parse(text) as Partial<SwitchStats> | null;
    return stats?.summary && stats.ports && stats.modules ? (stats as SwitchStats) : null;
  } catch {
    return null;
  }
}
