/**
 * Asks running switches for their counters, each on its control socket. A switch that hangs does not delay the others.
 */
import { connect } from 'node:net';
import type { SwitchStats } from '../stats.js';
import { type ControlFile, controlFiles, controlFolders, controlPath, isAlive, isOurs, removeStale } from './files.js';

/**
 * How long to wait for an answer, in ms. A switch answers when its event loop runs, so a longer wait means that it
 * hangs.
 */
const ANSWER_MS = 3000;
/** More than the longest answer, in characters. */
const MAX_ANSWER = 1 << 24;
/** The most switches of other users that are reported. Anyone can put sockets into /tmp. */
const MAX_FOREIGN = 8;

/** The counters of a switch, or the reason why it gave none. */
export type Answer =
  | { readonly pid: number; readonly stats: SwitchStats }
  | { readonly pid: number; readonly problem: string };

/**
 * Asks all switches of this user, or only the switch with process id `pid`. Removes the sockets of dead switches.
 * Rejects if there is no switch.
 * @returns the answers. A switch that does not answer, or that belongs to another user, is among them with its problem.
 */
export async function askSwitches(pid?: number, folders: readonly string[] = controlFolders()): Promise<Answer[]> {
  const files = controlFiles(folders).filter((file) => pid === undefined || file.pid === pid);
  const foreign = files.filter((file) => !isOurs(file) && isAlive(file.pid));
  const asked = await Promise.all(files.filter(isOurs).map(ask));
  const answers: Answer[] = asked.filter((answer) => answer !== null);
  for (const { pid: other, owner } of foreign.slice(0, MAX_FOREIGN)) {
    const [who, how] = owner === 0 ? ['root', 'sudo'] : [`user ${owner}`, `sudo -u '#${owner}'`];
    const problem = `switch ${other} belongs to ${who}, so this user may not ask it; try: ${how} tspmd switch --stats ${other}`;
    answers.push({ pid: other, problem });
  }
  if (answers.length > 0) return answers;
  if (pid !== undefined) {
    const sockets = folders.map((folder) => controlPath(folder, pid)).join(' or ');
    throw new Error(`no switch runs as process ${pid} (no socket ${sockets})`);
  }
  throw new Error(`no switch is running (no socket in ${folders.join(' or ')}); start one: tspmd switch FILE.bess`);
}

/** Returns the counters of one switch. Rejects if it does not answer. */
export async function fetchStats(pid: number): Promise<SwitchStats> {
  const [answer] = await askSwitches(pid);
  if ('problem' in answer) throw new Error(answer.problem);
  return answer.stats;
}

/** Asks one switch of this user. Returns null, and removes the socket, if no process listens on it. */
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
      if (text.length > MAX_ANSWER) problem('answers with something other than counters');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeStale(path);
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') finish(null);
      // The queue of waiting connections is full: the switch has accepted none for some time.
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

/** Returns the snapshot in the text, or null if the text is not a snapshot. */
function parse(text: string): SwitchStats | null {
  try {
    const stats = JSON.parse(text) as Partial<SwitchStats> | null;
    return stats?.summary && stats.ports && stats.modules ? (stats as SwitchStats) : null;
  } catch {
    return null;
  }
}
