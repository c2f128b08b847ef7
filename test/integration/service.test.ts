/** As a service: what a service manager hears, with socat in its place, and the unit files, which systemd checks. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { command, describeWith } from '../support/requirements.js';
import { until } from '../support/until.js';

const LIMIT = { timeout: 60_000 };
const UNITS = fileURLToPath(new URL('../../systemd/', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'tspmd-service-'));
const children: Child[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
});

afterAll(() => rmSync(directory, { recursive: true }));

function spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Child {
  const child = Child.spawn(program, args, env);
  children.push(child);
  return child;
}

/** Starts what takes datagrams, and prints them. `ABSTRACT` is a name without a file. */
async function receiver(kind: 'UNIX' | 'ABSTRACT', name: string): Promise<Child> {
  const manager = spawn('socat', ['-u', '-d', '-d', `${kind}-RECV:${name}`, '-']);
  await manager.waitFor(/starting data transfer loop/);
  return manager;
}

function start(environment: Readonly<Record<string, string>>, ...args: string[]): Child {
  const [program, ...rest] = Child.commandLine(...args);
  return spawn(program, rest, { ...process.env, ...environment });
}

const socket = join(directory, 'vm.sock');

function startSwitch(environment: Readonly<Record<string, string>> = {}): Child {
  const file = join(directory, 'one.bess');
  writeFileSync(file, `vm = PMDPort(name='vm', vdev='eth_vhost0,iface=${socket}')\nPortInc(port=vm) -> Sink()\n`);
  return start(environment, 'switch', file);
}

const endpoint = ['--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24', '--hugepages', 'never'];

describeWith('a service manager', [command('socat')], () => {
  it('hears that a switch is ready, what happens to it, and that it stops', LIMIT, async () => {
    const path = join(directory, 'notify');
    const manager = await receiver('UNIX', path);
    const bess = startSwitch({ NOTIFY_SOCKET: path });
    await bess.waitFor(/^ready/m);
    await manager.waitFor(/^READY=1\n/m);
    await manager.waitFor(/^STATUS=ready: 1 port, 2 modules, one\.bess$/m);
    const run = start({}, 'run', ...endpoint);
    await run.waitFor(/^ready/m);
    await manager.waitFor(/^STATUS=port vm: /m);
    await run.stop();
    expect((await bess.stop()).code).toBe(0);
    await manager.waitFor(/^STOPPING=1$/m);
    expect(manager.stdout.match(/^READY=1$/gm)).toHaveLength(1);
    expect(manager.stdout).not.toMatch(/^WATCHDOG/m);
  });

  it('has an abstract socket, and gets signs of life until the process hangs', LIMIT, async () => {
    const name = `tspmd-service-${process.pid}`;
    const manager = await receiver('ABSTRACT', name);
    const mark = async (i: number): Promise<unknown> => {
      spawnSync('socat', ['-u', '-', `ABSTRACT-SENDTO:${name}`], { input: `MARK ${i}\n`, timeout: 10_000 });
      return manager.waitFor(new RegExp(`^MARK ${i}$`, 'm'));
    };
    await startSwitch().waitFor(/^ready/m);
    const app = join(directory, 'hangs.mjs');
    writeFileSync(
      app,
      `let isTold = false; process.on('SIGUSR2', () => { isTold = true; });
       export default () => ({ poll() { while (isTold); return 0; }, maxSleepMs: () => 50 });`,
    );
    const environment = { NOTIFY_SOCKET: `@${name}`, WATCHDOG_USEC: '600000', WATCHDOG_PID: '' };
    const run = start(environment, 'run', ...endpoint, '--app', app);
    await manager.waitFor(/^READY=1\n.*WATCHDOG=1\n.*WATCHDOG=1\n/ms);
    await manager.waitFor(/^STATUS=ready: 10\.0\.0\.1\/24 at /m);
    run.signal('SIGUSR2');
    await run.waitFor(/the main thread has been busy for a second/);
    // The line came from the thread that gives the signs: in its next looks it gives none.
    await mark(1);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await mark(2);
    expect(manager.stdout).toMatch(/^MARK 1\nMARK 2\n$/m);
    run.signal('SIGKILL');
    await run.exited;
  });

  it('hears why a command fails', LIMIT, async () => {
    const path = join(directory, 'notify2');
    const manager = await receiver('UNIX', path);
    const run = start({ NOTIFY_SOCKET: path }, 'run', '--device', 'vhost-user:/none.sock', '--ip', '10.0.0.1/24');
    expect((await run.exited).code).toBe(1);
    await manager.waitFor(/^STATUS=vhost-user:\/none\.sock: there is no such socket/m);
    expect(manager.stdout).not.toMatch(/^READY/m);
  });

  it('that is not there costs one line, and nothing else', LIMIT, async () => {
    const bess = startSwitch({ NOTIFY_SOCKET: join(directory, 'nobody') });
    await bess.waitFor(/^ready/m);
    await until('the warning', () => /^tspmd: the service manager is not told .*ENOENT/m.test(bess.output));
    expect((await bess.stop()).code).toBe(0);
    expect(bess.output.match(/service manager/g)).toHaveLength(1);
  });
});

/** Returns the path of a unit as it is when the command is installed: `systemd-analyze` looks for its program. */
function installed(unit: string, instance: string): string {
  const text = readFileSync(join(UNITS, unit), 'utf8');
  expect(text).toMatch(/^ExecStart=tspmd /m);
  const path = join(directory, unit.replace('@', `@${instance}`));
  writeFileSync(path, text.replace(/^ExecStart=tspmd /m, `ExecStart=${process.execPath} `));
  return path;
}

describeWith('the unit files', [command('systemd-analyze')], () => {
  const analyze = (...args: string[]) =>
    spawnSync('systemd-analyze', args, {
      encoding: 'utf8',
      timeout: 30_000,
      env: { ...process.env, SYSTEMD_PAGER: '' },
    });

  it.each([
    ['tspmd@.service', 'web'],
    ['tspmd-switch@.service', 'lan'],
  ])('have no fault that systemd sees: %s', LIMIT, (unit, instance) => {
    const { status, stdout, stderr } = analyze('verify', '--man=no', installed(unit, instance));
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  });

  it('expose what docs/service.md says', LIMIT, () => {
    const page = readFileSync(new URL('../../docs/service.md', import.meta.url), 'utf8');
    for (const unit of readdirSync(UNITS).filter((name) => name.endsWith('.service'))) {
      const { stdout } = analyze('security', '--offline=yes', '--no-pager', join(UNITS, unit));
      const [, score] = /Overall exposure level for \S+: (\d\.\d)/.exec(stdout) ?? [];
      const [, documented] = new RegExp(`^\\| \`${unit}\` \\| (\\d\\.\\d) \\|$`, 'm').exec(page) ?? [];
      // Versions of systemd weigh some settings differently.
      expect(Math.abs(Number(score) - Number(documented)), stdout).toBeLessThanOrEqual(0.5);
    }
  });
});
