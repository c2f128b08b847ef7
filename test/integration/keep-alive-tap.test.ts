/** A program with a port on a tap interface that ends by itself, in a network namespace that the test makes. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { KEEP_ALIVE_PROGRAM } from '../support/keep-alive-program.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const NAMESPACE = `tspmd-alive-${process.pid}`;

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', timeout: 5000, env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });

describeWith('a program with a port on a tap interface', [root, tun, command('ip')], () => {
  beforeEach(() => void ip('netns', 'add', NAMESPACE));
  afterEach(() => void ip('netns', 'del', NAMESPACE));

  it('ends by itself after core.unref()', async () => {
    const program = `${KEEP_ALIVE_PROGRAM} core.unref(); void core.waitForPackets(); console.log('open');`;
    const node = [process.execPath, '--input-type=module', '-e', program];
    const child = Child.spawn('ip', ['netns', 'exec', NAMESPACE, ...node, 'tap:tspmd0,host=192.0.2.1/24']);
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe('open\nbeforeExit\nstopped\n');
  });
});
