/** One signal ends a process that hangs, in a system call or without end in JavaScript. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../drivers/virtio/features.js';
import { Child } from '../../scripts/child.js';
import { temporaryDirectory, threadNames } from '../support/resources.js';
import { CORE_MODES, withCores } from '../support/threads/modes.js';
import { until } from '../support/until.js';
import { ScriptedBackend } from '../support/vhost-user/scripted-backend.js';

const APP = fileURLToPath(new URL('../../dist/test/support/link/hanging.app.js', import.meta.url));

let directory: ReturnType<typeof temporaryDirectory>;
let backend: ScriptedBackend;
let child: Child;
let trigger = '';

/** An endpoint with the hanging app, whose main thread is watched. */
async function start(how: string, ...args: string[]): Promise<void> {
  child = Child.tspmd(
    ...['run', '--device', `vhost-user:${backend.path}`, '--ip', '10.0.0.1/24', '--hugepages', 'never'],
    ...['--app', APP, '--app-option', `file=${trigger}`, `how=${how}`, ...args],
  );
  await child.waitFor(/^ready/m);
  await until('the watch', () => threadNames(child.pid).includes('tspmd-watch'));
}

beforeEach(() => {
  directory = temporaryDirectory();
  trigger = join(directory.path, 'hang');
  backend = new ScriptedBackend(join(directory.path, 's'));
  backend.features = VIRTIO_F_VERSION_1;
});

afterEach(async () => {
  child.signal('SIGKILL');
  await child.exited;
  backend.close();
  directory.remove();
});

describe('one SIGTERM ends', () => {
  it.each([
    ['kernel', /the main thread hangs in a system call: until it answers, SIGINT, SIGTERM, SIGHUP end this process/],
    ['busy', /the main thread has been busy for a second: until it answers/],
  ])('a process that hangs (%s)', async (how, line) => {
    await start(how);
    writeFileSync(trigger, '');
    await child.waitFor(line);
    child.signal('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('a process that hangs while it stops', async () => {
    await start('stop');
    child.signal('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.output).toContain('tspmd: the main thread hangs in a system call: this process ends');
  });

  it.each(CORE_MODES)('a process with another thread that hangs (%s)', async (mode) => {
    await start('kernel', ...withCores(mode, 1));
    writeFileSync(trigger, '');
    await child.waitFor(/^hangs now/m);
    child.signal('SIGTERM');
    // The watch ended it, which sees the main thread wait for the other thread, or the kernel did.
    expect(['SIGTERM', 'SIGALRM']).toContain((await child.exited).signal);
  });
});

describe('a process that does not hang', () => {
  it('ends in order and says nothing', async () => {
    await start('never');
    child.signal('SIGTERM');
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.output).not.toContain('main thread');
  });

  it('ends in order even if it was stopped for a while (SIGSTOP)', async () => {
    await start('never');
    child.signal('SIGSTOP');
    await until('the stop', () => / T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8')));
    child.signal('SIGCONT');
    child.signal('SIGTERM');
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });
});
