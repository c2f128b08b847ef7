/** A Fastify program as users write them: schemas, a plugin, hooks, a stream as answer. It listens at port 80. */
import { Readable } from 'node:stream';
import fastify from 'fastify';
import { patternBytes } from '../peers/bytes.js';

const CHUNK = 65_537;

const app = fastify({ forceCloseConnections: true });
let answered = 0;

app.addHook('onResponse', async () => {
  answered++;
});

const sum = {
  body: { type: 'object', required: ['a', 'b'], properties: { a: { type: 'number' }, b: { type: 'number' } } },
  response: { 200: { type: 'object', properties: { sum: { type: 'number' } } } },
} as const;
app.post<{ Body: { a: number; b: number } }>('/sum', { schema: sum }, async ({ body }) => ({ sum: body.a + body.b }));

app.register(
  async (child) => {
    child.get('/answered', async () => ({ answered }));
    child.get<{ Params: { count: string } }>('/bytes/:count', async ({ params }, reply) => {
      const count = Number(params.count);
      const parts = function* (): Generator<Buffer> {
        for (let at = 0; at < count; at += CHUNK) yield patternBytes(at, Math.min(count, at + CHUNK));
      };
      return reply.type('application/octet-stream').send(Readable.from(parts()));
    });
  },
  { prefix: '/child' },
);

console.log(`listening: ${await app.listen({ port: 80, host: '0.0.0.0' })}`);
