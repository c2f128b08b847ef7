/** Programs that know nothing of tspmd, under `tspmd exec`: Express, Fastify and ws, with clients on the kernel. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { KERNELS, KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';

const built = (path: string): string => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url));
const CHAT = built('examples/node/chat.js');
const SERVER = `http://${OURS}`;
const SIZE = 5_000_000;
const LISTENING = /^listening/m;

describeWith('under tspmd exec', [...TCP_PEERS, command('curl')], () => {
  let lab: KernelLab;

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('upload'), patternBytes(0, SIZE));
  });

  afterAll(async () => {
    await lab?.close();
  });

  async function curl(...args: string[]): Promise<string> {
    const { code, stdout, output } = await lab.run(20, 'curl', '-sS', ...args);
    expect(code, output).toBe(0);
    return stdout;
  }
  const status = ['-w', ' %{http_code}'];
  const post = (path: string, body: unknown): Promise<string> =>
    curl(...status, '--json', typeof body === 'string' ? body : JSON.stringify(body), SERVER + path);

  describe('the Express example', () => {
    let program: Child;

    beforeAll(async () => {
      program = await lab.program(LISTENING, [built('examples/node/express.js')]);
    });

    afterAll(async () => {
      await program?.stop();
    });

    it('sees the client by its address', async () => {
      expect(await curl(`${SERVER}/`)).toBe(`Hello from Express to ${KERNELS}: 0 notes\n`);
    });

    it('keeps, lists and deletes notes', async () => {
      expect(await post('/notes', { text: 'one' })).toBe('{"id":1,"text":"one"} 201');
      expect(await post('/notes', { text: 'zwölf' })).toBe('{"id":2,"text":"zwölf"} 201');
      expect(await curl(`${SERVER}/notes`)).toBe('[{"id":1,"text":"one"},{"id":2,"text":"zwölf"}]');
      expect(await curl(...status, '-X', 'DELETE', `${SERVER}/notes/1`)).toBe(' 204');
      expect(await curl(...status, `${SERVER}/notes/1`)).toBe('{"error":"nothing is at /notes/1"} 404');
      expect(await curl(`${SERVER}/notes/2`)).toBe('{"id":2,"text":"zwölf"}');
    });

    it('refuses what is wrong', async () => {
      expect(await post('/notes', {})).toBe('{"error":"a note has a text"} 400');
      expect(await post('/notes', '{"text":')).toMatch(/^\{"error":".*JSON.*"\} 400$/);
      expect(await post('/notes', { text: 'x'.repeat(110_000) })).toBe('{"error":"request entity too large"} 413');
    });

    it('answers 100 requests on one connection', async () => {
      const format = ['-w', '%{num_connects}\\n', '-o', '/dev/null'];
      const connects = (await curl(...format, `${SERVER}/notes?[1-100]`)).trim().split('\n');
      expect(connects).toEqual(['1', ...Array<string>(99).fill('0')]);
    });

    it(`sends and receives ${SIZE} bytes`, async () => {
      const download = await lab.shell(20, `curl -sS --fail ${SERVER}/bytes/${SIZE} | sha256sum`);
      const sent = createHash('sha256')
        .update(Buffer.alloc(SIZE, Buffer.alloc(1 << 16, 'tspmd ')))
        .digest('hex');
      expect(download.output).toBe(`${sent}  -\n`);
      expect(await curl('-T', lab.file('upload'), `${SERVER}/hash`)).toBe(`${patternHash(SIZE)}\n`);
    });
  });

  describe('Fastify', () => {
    let program: Child;

    beforeAll(async () => {
      program = await lab.program(LISTENING, [built('test/support/programs/fastify.main.js')]);
    });

    afterAll(async () => {
      await program?.stop();
    });

    it('checks bodies by their schema', async () => {
      expect(await post('/sum', { a: 40, b: 2 })).toBe('{"sum":42} 200');
      expect(await post('/sum', { a: 40 })).toMatch(/^\{"statusCode":400,.*'b'.*\} 400$/);
    });

    it(`sends a stream of ${SIZE} bytes`, async () => {
      const { output } = await lab.shell(20, `curl -sS --fail ${SERVER}/child/bytes/${SIZE} | sha256sum`);
      expect(output).toBe(`${patternHash(SIZE)}  -\n`);
    });

    it('runs its hooks', async () => {
      const before = JSON.parse(await curl(`${SERVER}/child/answered`)) as { answered: number };
      const after = JSON.parse(await curl(`${SERVER}/child/answered`)) as { answered: number };
      expect(after.answered - before.answered).toBe(1);
    });
  });

  describe('the chat by ws', () => {
    const join = (...where: string[]): Child => lab.start(process.execPath, CHAT, ...where);

    /** Two people talk, and one of them leaves. */
    async function talk(ada: Child, joinAs: (name: string) => Promise<Child>): Promise<void> {
      await ada.waitFor(/^chat: Ada comes$/m);
      const bob = await joinAs('Bob');
      await ada.waitFor(/^chat: Bob comes$/m);
      ada.write('hello Bob\n');
      await bob.waitFor(/^Ada: hello Bob$/m);
      const long = 'ü'.repeat(2000);
      bob.write(`${long}\n`);
      await ada.waitFor(new RegExp(`^Bob: ${long}$`, 'm'));
      await bob.stop('SIGTERM');
      await ada.waitFor(/^chat: Bob leaves$/m);
    }

    it('serves clients of the kernel', async () => {
      const server = await lab.program(LISTENING, [CHAT]);
      const ada = join(`ws://${OURS}`, 'Ada');
      await talk(ada, async (name) => join(`ws://${OURS}`, name));
      // A message that is too large ends a connection, not the chat.
      ada.write(`${'x'.repeat(5000)}\n`);
      await server.waitFor(/^Ada: Max payload size exceeded$/m);
      expect((await ada.exited).code).toBe(0);
      expect(await curl(`${SERVER}/`)).toContain('<title>Chat</title>');
      await server.stop();
    });

    it('joins a chat on the kernel', async () => {
      const server = lab.start('env', 'PORT=8000', process.execPath, CHAT);
      await server.waitFor(LISTENING);
      const where = `ws://${KERNELS}:8000`;
      const ada = await lab.program(/Ada comes/, [CHAT, where, 'Ada']);
      await talk(ada, async (name) => join(where, name));
      await ada.stop();
      await server.stop();
    });
  });
});
