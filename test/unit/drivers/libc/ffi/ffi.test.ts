/**
 * The two implementations of the foreign functions: which one is chosen, and that both can do what the libc suites
 * need.
 */
import { cpSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { native } from '../../../../../drivers/libc/ffi/native.js';
import { Child } from '../../../../../scripts/child.js';
import { describeWith, nodeFfi } from '../../../../support/requirements.js';
import { temporaryDirectory } from '../../../../support/resources.js';

const LIBC = new URL('../../../../../dist/drivers/libc/', import.meta.url).href;

interface Outcome {
  code: number | null;
  output: string;
}

/** Runs `script`, with libc and `native` at hand, in a process whose TSPMD_FFI is `choice`. */
const run = (choice: string, script: string, ...options: string[]): Promise<Outcome> =>
  runOver(LIBC, choice, script, ...options);

/** Like `run`, with the libc in the folder `from`. */
async function runOver(from: string, choice: string, script: string, ...options: string[]): Promise<Outcome> {
  const body = `import * as libc from '${from}index.js'; import { native } from '${from}ffi/native.js'; ${script}`;
  const env = { ...process.env, TSPMD_FFI: choice };
  const child = Child.spawn(process.execPath, [...options, '--input-type=module', '-e', body], env);
  const { code } = await child.exited;
  return { code, output: child.output };
}

/** Like `run`, with the default choice, and with a copy of libc that finds no packages. */
async function runWithoutKoffi(script: string): Promise<Outcome> {
  const folder = temporaryDirectory();
  try {
    cpSync(fileURLToPath(LIBC), folder.path, { recursive: true });
    writeFileSync(`${folder.path}/package.json`, '{ "type": "module" }');
    return await runOver(`${pathToFileURL(folder.path).href}/`, '', script);
  } finally {
    folder.remove();
  }
}

/** Prints the implementation, and whether koffi's addon is in the process. */
const WHO = `console.log(native.implementation, process.report.getReport().sharedObjects.some((path) => /koffi/.test(path)));`;

describe('the implementation of the foreign functions', () => {
  it('is koffi when TSPMD_FFI says so', async () => {
    expect(await run('koffi', WHO)).toEqual({ code: 0, output: 'koffi true\n' });
  });

  it('is refused by name when TSPMD_FFI is neither of the two', async () => {
    const { code, output } = await run('libffi', WHO);
    expect(code).toBe(1);
    expect(output).toContain("TSPMD_FFI=libffi: must be 'node' (node:ffi) or 'koffi'");
  });

  it.runIf(process.allowedNodeEnvironmentFlags.has('--experimental-ffi'))(
    'is koffi by default without node:ffi, and TSPMD_FFI=node says what is missing',
    async () => {
      expect(await run('', WHO, '--no-experimental-ffi')).toEqual({ code: 0, output: 'koffi true\n' });
      const { code, output } = await run('node', WHO, '--no-experimental-ffi');
      expect(code).toBe(1);
      expect(output).toContain('has no node:ffi, or it is off (--experimental-ffi turns it on)');
    },
  );
});

describe.skipIf(nodeFfi.isMet())('without koffi and node:ffi', () => {
  it('one line says what is missing and what to do', async () => {
    const { code, output } = await runWithoutKoffi(WHO);
    expect(code).toBe(1);
    expect(output).toContain('tspmd: no way to call the C library: Node');
    expect(output).toContain("koffi cannot be loaded: Cannot find module 'koffi'. Install koffi");
  });
});

describeWith('node:ffi', [nodeFfi], () => {
  it('does without koffi: a call, an error, a wait', async () => {
    const script = `
      const fd = libc.eventfd();
      const reactor = new libc.Reactor();
      reactor.watch(fd, (libc.abi.EPOLLIN | libc.abi.EPOLLET) >>> 0, () => {
        console.log('told');
        reactor.close();
      });
      libc.signalEventfd(fd);
      try { libc.openFile('/nonexistent', 0); } catch (error) { console.log(error.code); }`;
    expect(await runWithoutKoffi(script)).toEqual({ code: 0, output: 'ENOENT\ntold\n' });
  });

  it('is the default, without koffi in the process and without a warning', async () => {
    expect(await run('', WHO)).toEqual({ code: 0, output: 'node false\n' });
  });

  it('gives way to koffi where the permission model forbids it', async () => {
    expect(await run('', WHO, '--permission', '--allow-addons', '--allow-fs-read=*')).toMatchObject({
      code: 0,
      output: expect.stringContaining('koffi'),
    });
  });

  it('warns of nothing in a worker either, and a worker has an errno of its own', async () => {
    const worker = `
      import { Worker } from 'node:worker_threads';
      // It is a module, as this process is given its script as one.
      const code = \`
        import { parentPort } from 'node:worker_threads';
        import { native } from '${LIBC}ffi/native.js';
        native.close(-1);
        setTimeout(() => parentPort.postMessage(native.errno()), 0);\`;
      const other = new Worker(code, { eval: true });
      native.ftruncate(-1, -1);
      const theirs = await new Promise((resolve) => other.once('message', resolve));
      const mine = native.errno();
      console.log(mine, theirs);`;
    expect(await run('node', worker)).toEqual({ code: 0, output: '22 9\n' });
  });

  it('keeps errno through garbage collections: 100,000 calls that fail in four ways', async () => {
    const script = `
      const fd = libc.openFile('/dev/null', libc.abi.O_RDWR);
      const wrong = [];
      let garbage = [];
      const expectErrno = (result, errno) => {
        // Garbage is made between the call and the question, too: its collection must not change the answer.
        garbage.push(new Array(50).fill(result), new ArrayBuffer(garbage.length));
        if (result !== -1 || native.errno() !== errno) wrong.push([result, native.errno(), errno]);
      };
      for (let i = 0; i < 25_000; i++) {
        if (garbage.length > 20_000) garbage = [new SharedArrayBuffer(1 << 20)];
        expectErrno(native.close(-1), 9);
        expectErrno(native.open(Buffer.from('/nonexistent/' + i + '\\0'), 0, 0), 2);
        expectErrno(native.mmap(0, 0, 3, 0x22, -1, 0), 22);
        expectErrno(native.ioctlInt(fd, 0x3b64, 0), 25);
      }
      console.log(wrong.length, wrong[0] ?? '');`;
    expect(await run('node', script)).toEqual({ code: 0, output: '0 \n' });
  });
});

// The libc suites in files of their own run with the default implementation.
const other = native.implementation === 'koffi' ? 'node' : 'koffi';
const requirements = other === 'node' ? [nodeFfi] : [];
describeWith(`libc by ${other}, not the default here:`, requirements, async () => {
  const choose = (): void => {
    process.env.TSPMD_FFI = other;
  };
  // Processes and workers that the suites start need it.
  beforeAll(choose);
  it(`is by ${other}`, async () => {
    expect((await import('../../../../../drivers/libc/ffi/native.js')).native.implementation).toBe(other);
  });
  // vitest loads a suite even where it skips it.
  if (!requirements.every(({ isMet }) => isMet())) return;
  choose();
  vi.resetModules();
  describe('files, sockets, threads:', () => import('../libc.test.js').then(() => {}));
  describe('the reactor:', () => import('../reactor/reactor.test.js').then(() => {}));
});
