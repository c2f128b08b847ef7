/** How `tspmd top` finds processes and follows them, with control sockets that follow a script. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Watched, Watcher } from '../../../../../src/cli/top/watcher.js';
import { about, type Script, ScriptedControl } from '../../../../support/observe/scripted-control.js';
import { connections, flows, portStats } from '../../../../support/observe/top-samples.js';

let folder: string;
const controls: ScriptedControl[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'top-'));
});

afterEach(async () => {
  for (const control of controls.splice(0)) await control.stop();
  rmSync(folder, { recursive: true });
});

async function start(pid: number, script: Script): Promise<ScriptedControl> {
  const control = await ScriptedControl.start(folder, 'run', pid, script);
  controls.push(control);
  return control;
}

/** A process that counts on each time that it is asked; `more` are its answers to other commands. */
function process(pid: number, more: Readonly<Record<string, unknown>> = {}): Script {
  let second = 0;
  return ({ command }) => {
    if (command === 'info') return about(pid);
    if (command !== 'stats') return more[String(command)];
    const { port, process } = portStats(second++);
    return { process: { ...process, pid }, port };
  };
}

const watch = async (word?: string): Promise<Watcher> => {
  const watcher = new Watcher(word, 1, undefined, [folder]);
  await watcher.begin();
  return watcher;
};
const ALL = { isWanted: () => true, withTraffic: true, order: 'rtt' } as const;
const first = (watcher: Watcher): Watched => watcher.processes[0]!;

describe('a watcher', () => {
  it('asks for counters, flows, and connections in the order that is wanted', async () => {
    const control = await start(4711, process(4711, { flows, connections }));
    const watcher = await watch('web');
    for (let i = 0; i < 2; i++) await watcher.tick(ALL);
    expect(first(watcher).rates!.ports[0]!.in.packets).toBe(1_200_000);
    expect(first(watcher)).toMatchObject({ flows: { items: { length: 2 } }, connections: { total: 4321 } });
    expect(control.requests.filter(({ command }) => command === 'connections')[0]).toMatchObject({ sort: 'rtt' });
  });

  it('asks only for what is shown', async () => {
    const control = await start(4711, process(4711));
    const other = await start(4712, process(4712));
    const watcher = await watch();
    await watcher.tick({ ...ALL, isWanted: (key) => key.includes('4712'), withTraffic: false });
    const asked = ({ requests }: ScriptedControl) => new Set(requests.map(({ command }) => command));
    expect(asked(control)).toEqual(new Set(['info']));
    expect(asked(other)).toEqual(new Set(['info', 'stats']));
  });

  it('says what an older version does not know, and shows the rest', async () => {
    await start(4711, process(4711));
    const watcher = await watch();
    await watcher.tick(ALL);
    expect(first(watcher)).toMatchObject({
      flows: { problem: "there is no command 'flows'" },
      connections: { problem: "there is no command 'connections'" },
      problem: null,
    });
    expect(first(watcher).rates).not.toBeNull();
  });

  it('says that it does not know the counters of a newer version', async () => {
    await start(4711, ({ command }) =>
      command === 'info' ? about(4711) : { process: about(4711, { version: '9.0' }), port: { odd: 1 } },
    );
    const watcher = await watch();
    await watcher.tick(ALL);
    expect(first(watcher).problem).toBe('it is of tspmd 9.0, and has counters that this version does not know');
  });

  it('notices that a process has ended, and finds the next one of its name', async () => {
    const control = await start(4711, process(4711));
    const watcher = await watch('web');
    await watcher.tick(ALL);
    await control.stop();
    controls.pop();
    await watcher.tick(ALL);
    const ended = first(watcher);
    expect(ended.hasEnded).toBe(true);
    expect(watcher.news).toBe('run 4711 (web) has ended');
    expect(watcher.successorOf(ended)).toBeUndefined();
    watcher.forget(ended.key);
    expect(watcher.processes).toHaveLength(1);
    await start(5000, process(5000));
    await watcher.tick(ALL);
    expect(watcher.successorOf(ended)?.file.pid).toBe(5000);
    watcher.forget(null);
    expect(watcher.processes.map(({ file }) => file.pid)).toEqual([5000]);
  });

  it('shows the others when one has no counters', async () => {
    await start(4711, process(4711));
    let isSilent = false;
    await start(4712, (request) => (isSilent ? undefined : process(4712)(request)));
    const watcher = await watch();
    isSilent = true;
    await watcher.tick(ALL);
    const [one, other] = watcher.processes;
    expect(one).toMatchObject({ problem: null });
    expect(other!.problem).toBe("run 4712 says: there is no command 'stats'");
  });

  it('needs a process to begin with', async () => {
    await expect(watch('none')).rejects.toThrow('no process of tspmd is running');
    await start(4711, process(4711));
    await expect(watch('none')).rejects.toThrow("no running process has the process id, name or device 'none'");
  });
});
