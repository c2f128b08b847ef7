/**
 * Makes docs/images/top.svg: the screen of `tspmd top` while a client loads an HTTP server over the switch. It needs tmux.
 *
 *     node dist/scripts/top-picture.js [SECONDS [FILE]]
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import { terminalSvg } from './terminal-svg.js';
import { Tmux } from './tmux.js';

const SCRIPT = fileURLToPath(new URL('../../bess/forward_script.bess', import.meta.url));
const SIZE = { columns: 110, rows: 37 } as const;
/** So that the charts of the last minute are full. */
const SECONDS = 65;
/** The load changes, so that the charts show something. */
const CONNECTIONS = [8, 6, 16, 7, 12, 6] as const;
const REQUESTS = 40_000;

const [seconds = SECONDS, file = fileURLToPath(new URL('../../docs/images/top.svg', import.meta.url))] =
  process.argv.slice(2);
/** The picture shows it. */
const directory = '/tmp/tspmd';
mkdirSync(directory, { mode: 0o700 });
process.env.XDG_RUNTIME_DIR = directory;
const socket = (i: number): string => join(directory, `vm${i}.sock`);
const on = (i: number): string[] => [
  ...['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`],
];
const children: Child[] = [];
let isOver = false;

async function start(...args: string[]): Promise<void> {
  const child = Child.tspmd(...args);
  children.push(child);
  await child.waitFor(/^ready/m);
}

/** Loads the server until the picture is made. */
async function load(): Promise<void> {
  for (let i = 0; !isOver; i = (i + 1) % CONNECTIONS.length) {
    const amount = ['--connections', `${CONNECTIONS[i]}`, '--requests', `${REQUESTS}`];
    const client = Child.tspmd('get', ...on(2), ...amount, 'http://10.0.0.1/');
    children.push(client);
    await client.exited;
  }
}

const tmux = Tmux.start(SIZE.columns, SIZE.rows);
try {
  await start('switch', SCRIPT, `VM1_SOCKET=${socket(1)}`, `VM2_SOCKET=${socket(2)}`);
  await start('run', ...on(1), '--app', 'http', '--name', 'web', '--mode', '2kb');
  void load();
  tmux.type(Child.commandLine('top', 'web').join(' '));
  await tmux.waitFor(/^.Threads/m);
  // The section with the focus gets the most rows.
  tmux.keys('BTab');
  await sleep(1000 * Number(seconds));
  // Some time after the load has changed.
  await tmux.waitFor(/^.Connections {2}(?:[6-9]|1\d)[\s\S]*\dM$/m);
  mkdirSync(dirname(file), { recursive: true });
  const title = 'tspmd top: rates of a port, its threads, the largest flows and TCP connections';
  writeFileSync(file, terminalSvg(tmux.screen(true), SIZE.columns, title));
} finally {
  isOver = true;
  tmux.stop();
  for (const child of children) await child.stop();
  rmSync(directory, { recursive: true });
}
