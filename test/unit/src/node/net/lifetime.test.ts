import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../../../dist/test/support/node/lifetime.main.js', import.meta.url));
const TIMEOUT_MS = 15_000;

interface End {
  readonly code: number | null;
  readonly lines: string[];
  readonly error: string | undefined;
}

async function run(where: 'kernel' | 'stack', what: string): Promise<End> {
  const child = spawn(process.execPath, [MAIN, where, what], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ]);
  const error = /^Error: .*$/m.exec(err)?.[0].replace(/\d+(\.\d+){3}:\d+/, 'ADDRESS');
  // Which of two parties comes first is nobody's promise.
  return { code, lines: out.trim().split('\n').sort(), error };
}

describe('a program ends as it does with the sockets of the kernel', () => {
  it.each([
    'a server without reference',
    'a server that has its reference back',
    'sockets without references',
    'a socket keeps the process until it ends',
    'a connect without reference',
    'an end that nobody reads',
    'an error that nobody handles',
    'errors thrown in connection, connect, write, data, end',
    'an error thrown in listening',
    'process.exit in data',
  ])('%s', async (what) => {
    const kernel = await run('kernel', what);
    expect(await run('stack', what)).toEqual(kernel);
    expect(kernel.code).not.toBeNull();
  });
});
