/** `core.unref()`: a program with an open port and nothing else to do ends by itself. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../../scripts/child.js';
import { KEEP_ALIVE_PROGRAM } from '../../support/keep-alive-program.js';
import { PortLab } from '../../support/threads/port-lab.js';
import { until } from '../../support/until.js';

let lab: PortLab;

beforeEach(() => {
  lab = new PortLab();
  lab.listen();
});

afterEach(() => lab.close());

/** Starts a program with an open port over vhost-user, which then does `then`. */
function start(then: string): Child {
  return Child.spawn(process.execPath, [
    ...['--input-type=module', '-e', KEEP_ALIVE_PROGRAM + then],
    `vhost-user:${lab.socket}`,
  ]);
}

describe('a program with an open port', () => {
  it('ends by itself after core.unref(), and can stop its port then', async () => {
    const child = start('core.unref(); void core.waitForPackets(); console.log("open")');
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('open\nbeforeExit\nstopped\n');
  });

  it('ends although packets wait all the time, and has its turns at once until then', async () => {
    const child = start(`
      core.unref();
      core.getRxCount = () => 1;
      const late = setTimeout(() => console.log('late'), 10_000);
      let turns = 0;
      const look = async () => {
        while (!stopping) {
          await core.waitForPackets();
          if (++turns === 100_000) clearTimeout(late);
        }
      };
      void look();
      console.log('open');`);
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('open\nbeforeExit\nstopped\n');
  });

  it('ends while its backend is away', async () => {
    const child = start(`
      port.on("link", () => { core.unref(); console.log("away"); });
      void core.waitForPackets({ timeoutMs: 60_000 });
      console.log("open");`);
    await child.waitFor(/open/);
    lab.hangUp();
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('open\naway\nbeforeExit\nstopped\n');
  });

  it('goes on while the core is referenced, as it is at first and after core.ref()', async () => {
    const child = start(`
      core.unref();
      core.ref();
      void core.waitForPackets();
      process.on("SIGUSR2", () => { console.log("asked"); core.unref(); });
      setTimeout(() => console.log("open"), 50);`);
    await child.waitFor(/open/);
    child.signal('SIGUSR2');
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('open\nasked\nbeforeExit\nstopped\n');
  });
});

describe('the thread of a core', () => {
  const APP = `
    export default (core) => ({
      async run(signal) {
        core.unref();
        void core.waitForPackets({ timeoutMs: 60_000 });
        await new Promise((resolve) => {
          process.once('beforeExit', resolve);
          signal.addEventListener('abort', () => { aborted = true; resolve(); });
        });
      },
      report: () => ({ aborted: Number(aborted) }),
    });
    let aborted = false;`;

  it('ends by itself after core.unref()', async () => {
    const app = `${lab.directory.path}/app.mjs`;
    writeFileSync(app, APP);
    const port = await lab.open({ app, cores: [90, 91] });
    await until('the thread of the core has ended', () => port.status().cores.every(({ isAlive }) => !isAlive));
    await port.stop();
    expect(lab.warnings.join()).toContain('core 0: its thread has ended (exit code 0)');
  });
});
