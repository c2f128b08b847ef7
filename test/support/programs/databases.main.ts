/**
 * A program that uses PostgreSQL and Redis as programs do, and prints what it got: a JSON object for each step. Arguments:
 * address of both, password, path of the certificate of PostgreSQL.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createClient } from '@redis/client';
import pg from 'pg';

const [host = '', password = '', certificate = ''] = process.argv.slice(2);
const ROWS = 20_000;
const KEYS = 5000;
const POOL = 10;
const LARGE = Buffer.alloc(3_000_000, 'PostgreSQL and Redis ');

const print = (step: string, result: unknown): void => console.log(`${step} ${JSON.stringify(result)}`);
const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function usePostgres(): Promise<void> {
  const config = { host, user: 'postgres', database: 'postgres', password };
  const client = new pg.Client(config);
  await client.connect();
  await client.query('CREATE TABLE notes (id int PRIMARY KEY, text text, at timestamptz, data bytea)');
  const insert = 'INSERT INTO notes VALUES ($1, $2, $3, $4) RETURNING id, text, at';
  const { rows } = await client.query(insert, [1, 'zwölf', new Date(86_400_000), LARGE]);
  print('inserted', rows);
  const read = await client.query<{ data: Buffer }>({
    name: 'read',
    text: 'SELECT data FROM notes',
  });
  print('large', { length: read.rows[0]?.data.length, isSame: hashOf(read.rows[0]!.data) === hashOf(LARGE) });
  const many = await client.query<{ n: number; s: string }>(
    `SELECT n, repeat('x', n % 100) AS s FROM generate_series(1, ${ROWS}) n`,
  );
  const isRight = many.rows.every(({ n, s }, at) => n === at + 1 && s.length === n % 100);
  print('many', { rows: many.rows.length, isRight });
  const refused = await client.query(insert, [1, '', null, null]).catch((error: pg.DatabaseError) => error);
  print('refused', { code: (refused as pg.DatabaseError).code });
  await client.query('BEGIN');
  await client.query('DELETE FROM notes');
  await client.query('ROLLBACK');
  print('kept', (await client.query('SELECT count(*)::int AS count FROM notes')).rows);

  await client.query('LISTEN news');
  const pool = new pg.Pool({ ...config, max: POOL });
  const pids = Array.from({ length: POOL * 3 }, () =>
    pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.05)'),
  );
  const used = new Set((await Promise.all(pids)).map((result) => result.rows[0]?.pid));
  print('pool', { connections: used.size });
  const news = once(client, 'notification') as Promise<[pg.Notification]>;
  await pool.query("NOTIFY news, 'extra'");
  print('notified', (await news)[0].payload);
  await pool.end();

  // PostgreSQL's own protocol asks for TLS first: the socket is wrapped when it is connected already.
  const secure = new pg.Client({ ...config, ssl: { ca: readFileSync(certificate), servername: 'server.lab' } });
  await secure.connect();
  const tls = 'SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  print('secure', (await secure.query(tls)).rows);
  // The server ends a connection: the client gets its reason, and then that it was ended.
  secure.on('error', () => {});
  const ended = once(secure, 'error') as Promise<[pg.DatabaseError]>;
  await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_ssl WHERE ssl AND pid <> pg_backend_pid()');
  print('terminated', { code: (await ended)[0].code });
  await client.end();
  const wrong = new pg.Client({ ...config, password: 'wrong' });
  print('wrong', { code: await wrong.connect().catch((error: pg.DatabaseError) => error.code) });
}

async function useRedis(): Promise<void> {
  const client = createClient({ url: `redis://:${encodeURIComponent(password)}@${host}:6379` });
  const errors: string[] = [];
  client.on('error', (error: Error) => errors.push(error.message));
  await client.connect();
  await client.set('large', LARGE);
  const large = (await client.get('large')) ?? '';
  print('redis-large', { length: large.length, isSame: hashOf(Buffer.from(large)) === hashOf(LARGE) });
  const keys = Array.from({ length: KEYS }, (_, n) => `key:${n}`);
  await Promise.all(keys.map((key, n) => client.set(key, n)));
  const values = await Promise.all(keys.map((key) => client.get(key)));
  print('pipelined', { count: values.length, isRight: values.every((value, n) => value === String(n)) });
  print('transaction', await client.multi().incr('n').incr('n').get('n').exec());

  const subscriber = client.duplicate();
  subscriber.on('error', (error: Error) => errors.push(error.message));
  await subscriber.connect();
  const heard = new Promise((resolve) => subscriber.subscribe('news', resolve));
  while ((await client.publish('news', 'extra')) === 0);
  print('heard', await heard);
  const blocked = subscriber.duplicate();
  await blocked.connect();
  const popped = blocked.blPop('list', 10);
  await client.rPush('list', 'item');
  print('popped', await popped);
  blocked.destroy();

  // The server ends the subscriber's connection; the client connects again and subscribes again.
  const back = new Promise((resolve) => subscriber.once('ready', resolve));
  await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
  await back;
  print('reconnected', { subscribers: await client.publish('news', 'more'), errors });
  await subscriber.close();
  await client.close();
}

await usePostgres();
await useRedis();
print('done', null);
