/**
 * An Express program: notes that are kept in memory. It knows nothing of tspmd.
 *
 *     node dist/examples/node/express.js                     serves them over the kernel's network
 *     npx tspmd exec --device … --ip 10.0.0.1/24 -- dist/examples/node/express.js     serves them without the kernel
 *
 * The port is 80, or that of the environment variable PORT.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler } from 'express';

interface Note {
  readonly id: number;
  readonly text: string;
}

const MAX_NOTES = 1000;
const CHUNK = Buffer.alloc(1 << 16, 'tspmd ');

const notes = new Map<number, Note>();
let nextId = 1;

const app = express();
app.disable('x-powered-by');
app.use(express.json({ limit: '100kb' }));

app.get('/', (request, response) => {
  response.type('text').send(`Hello from Express to ${request.ip}: ${notes.size} notes\n`);
});

app.get('/notes', (_request, response) => {
  response.json([...notes.values()]);
});

app.post('/notes', (request, response) => {
  const { text } = (request.body ?? {}) as Partial<Note>;
  if (typeof text !== 'string' || text === '') {
    response.status(400).json({ error: 'a note has a text' });
    return;
  }
  if (notes.size >= MAX_NOTES) {
    response.status(507).json({ error: `there are ${MAX_NOTES} notes already` });
    return;
  }
  const note: Note = { id: nextId++, text };
  notes.set(note.id, note);
  response.status(201).location(`/notes/${note.id}`).json(note);
});

app.get('/notes/:id', (request, response, next) => {
  const note = notes.get(Number(request.params.id));
  if (note === undefined) next();
  else response.json(note);
});

app.delete('/notes/:id', (request, response, next) => {
  if (notes.delete(Number(request.params.id))) response.status(204).end();
  else next();
});

/** A long answer, no faster than the client reads it. */
app.get('/bytes/:count', async (request, response) => {
  let left = Number(request.params.count);
  response.type('application/octet-stream').set('Content-Length', String(left));
  while (left > 0 && !response.destroyed) {
    const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
    left -= part.length;
    if (!response.write(part)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
});

/** A long request: its SHA-256. */
app.put('/hash', (request, response) => {
  const hash = createHash('sha256');
  request.on('data', (part: Buffer) => hash.update(part));
  request.on('end', () => response.type('text').send(`${hash.digest('hex')}\n`));
});

app.use((request, response) => {
  response.status(404).json({ error: `nothing is at ${request.path}` });
});

const onError: ErrorRequestHandler = (error: { status?: number; message: string }, _request, response, next) => {
  if (response.headersSent) next(error);
  else response.status(error.status ?? 500).json({ error: error.message });
};
app.use(onError);

const server = app.listen(Number(process.env.PORT ?? 80), (error) => {
  if (error) throw error;
  const { address, port } = server.address() as AddressInfo;
  console.log(`listening at ${address}:${port}`);
});
