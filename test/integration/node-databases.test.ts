/** The clients of PostgreSQL and Redis in a program under `tspmd exec`; the servers are Debian's, behind the tap. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { makeCertificate } from '../support/peers/certificate.js';
import { type Database, PASSWORD, postgresql, startPostgres, startRedis } from '../support/peers/databases.js';
import { KERNELS, KernelLab, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';

const PROGRAM = fileURLToPath(new URL('../../dist/test/support/programs/databases.main.js', import.meta.url));
const LARGE = 3_000_000;
const needs = [...TCP_PEERS, ...['openssl', 'redis-server'].map(command), postgresql];

describeWith('a program under tspmd exec', needs, () => {
  let lab: KernelLab;
  let program: Child;
  const databases: Database[] = [];

  beforeAll(async () => {
    lab = await KernelLab.start();
    const certificate = await makeCertificate(lab, KERNELS);
    databases.push(await startPostgres(lab, 5432, certificate));
    databases.push(await startRedis(lab, 6379));
    program = await lab.program(/^inserted/m, [PROGRAM, KERNELS, PASSWORD, certificate.cert]);
  }, 60_000);

  afterAll(async () => {
    await program?.stop();
    for (const database of databases) await database.stop();
    await lab?.close();
  });

  /** What the program got in a step. */
  async function step(name: string): Promise<unknown> {
    const [, json] = await program.waitFor(new RegExp(`^${name} (.*)$`, 'm'));
    return JSON.parse(json!);
  }

  it('reads and writes tables of PostgreSQL', async () => {
    expect(await step('inserted')).toEqual([{ id: 1, text: 'zwölf', at: '1970-01-02T00:00:00.000Z' }]);
    expect(await step('large')).toEqual({ length: LARGE, isSame: true });
    expect(await step('many')).toEqual({ rows: 20_000, isRight: true });
    expect(await step('refused')).toEqual({ code: '23505' });
    expect(await step('kept')).toEqual([{ count: 1 }]);
  });

  it('uses a pool of ten connections, and hears notifications', async () => {
    expect(await step('pool')).toEqual({ connections: 10 });
    expect(await step('notified')).toBe('extra');
  });

  it('speaks TLS with PostgreSQL, and learns that the server ended it', async () => {
    expect(await step('secure')).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
    expect(await step('terminated')).toEqual({ code: '57P01' });
    expect(await step('wrong')).toEqual({ code: '28P01' });
  });

  it('uses Redis: large values, a pipeline, a transaction', async () => {
    expect(await step('redis-large')).toEqual({ length: LARGE, isSame: true });
    expect(await step('pipelined')).toEqual({ count: 5000, isRight: true });
    expect(await step('transaction')).toEqual([1, 2, '2']);
  });

  it('uses Redis: messages, a list that blocks, a connection that was killed', async () => {
    expect(await step('heard')).toBe('extra');
    expect(await step('popped')).toEqual({ key: 'list', element: 'item' });
    expect(await step('reconnected')).toEqual({ subscribers: 1, errors: [expect.stringContaining('closed')] });
  });

  it('ends by itself, because nothing keeps it alive any more', async () => {
    expect(await step('done')).toBe(null);
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });
});
