/** How data goes through a socket: back-pressure, encodings, buffers of the program's own. */
import { createHash } from 'node:crypto';
import type net from 'node:net';
import { scenarios, settle, type World, when } from '../scenario.js';

const MB = 2 ** 20;

/** Bytes that differ from their neighbours. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8)) & 0xff;
  return bytes;
}

/** Writes down the hash of all that a socket receives, at its end. */
function noteHash(w: World, who: string, socket: net.Socket): void {
  const hash = createHash('sha256');
  socket.on('data', (bytes) => hash.update(bytes));
  socket.on('end', () => w.note(who, 'hash', hash.digest('hex')));
}

async function bothClosed(w: World, client: net.Socket, accepting: Promise<unknown[]>): Promise<void> {
  const [accepted] = await accepting;
  await w.closed(client, accepted as net.Socket);
}

export const DATA = scenarios({
  '10 MB to a reader that pauses': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    noteHash(w, 'accepted', accepted);
    accepted.pause();
    w.note(
      'client',
      'write returns',
      client.write(pattern(10 * MB), () => w.note('client', 'callback')),
    );
    w.note('client', 'waits', client.writableLength > 0, client.bytesWritten, client.writableNeedDrain);
    await settle(100);
    w.note('client', 'still waits', client.writableNeedDrain, client.writableLength > 0);
    accepted.resume();
    await when(client, 'drain');
    client.end();
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
    w.state('accepted', 'closed', accepted);
  },
  '10 MB to the client, which pauses after each chunk': async (w) => {
    const { client, accepted } = await w.pair();
    accepted.resume();
    noteHash(w, 'client', client);
    client.on('data', () => {
      client.pause();
      setImmediate(() => client.resume());
    });
    accepted.end(pattern(10 * MB));
    await w.closed(client, accepted);
    w.note('client', client.bytesRead);
  },
  'a pipe in both directions': async (w) => {
    w.ignore('finish', 'data');
    const { client, accepted } = await w.pair({ allowHalfOpen: true }, { allowHalfOpen: true });
    accepted.pipe(accepted);
    noteHash(w, 'client', client);
    const bytes = pattern(3 * MB);
    for (let at = 0; at < bytes.length; at += 70_001) {
      if (!client.write(bytes.subarray(at, at + 70_001))) await when(client, 'drain');
    }
    client.end();
    await w.closed(client, accepted);
  },
  'texts in all encodings': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    const parts: Buffer[] = [];
    accepted.on('data', (bytes) => parts.push(bytes));
    const texts: [string, BufferEncoding][] = [
      ['plain', 'ascii'],
      ['Übergröße €', 'utf8'],
      ['Übergröße', 'latin1'],
      ['00ff7f80', 'hex'],
      ['aGVsbG8', 'base64'],
      ['aGVsbG8_-w', 'base64url'],
      ['zwei', 'ucs2'],
      ['drei€', 'utf16le'],
      ['vier', 'binary'],
    ];
    for (const [text, encoding] of texts) {
      client.write(text, encoding);
      w.note('client', encoding, client.bytesWritten);
    }
    client.end();
    await w.closed(client, accepted);
    w.note('accepted', Buffer.concat(parts).toString('hex'));
  },
  'texts of more than 64 KB': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    noteHash(w, 'accepted', accepted);
    client.write('€'.repeat(100_000));
    client.write('ä'.repeat(100_000), 'latin1');
    client.write('ä'.repeat(40_000), 'utf8');
    client.write('x'.repeat(70_000), 'ascii');
    client.end('y'.repeat(90_000), 'ucs2');
    await w.closed(client, accepted);
    w.note('client', client.bytesWritten);
  },
  'setEncoding across chunks': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    let text = '';
    accepted.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    const bytes = Buffer.from('€uro');
    client.write(bytes.subarray(0, 1));
    await settle();
    client.write(bytes.subarray(1, 2));
    await settle();
    client.end(bytes.subarray(2));
    await w.closed(client, accepted);
    w.note('accepted', text);
  },
  'empty writes, and writes of typed arrays': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    accepted.resume();
    w.note(
      'client',
      client.write('', () => w.note('client', 'empty text')),
    );
    w.note(
      'client',
      client.write(Buffer.alloc(0), () => w.note('client', 'empty buffer')),
    );
    w.note(
      'client',
      client.write(Uint8Array.of(1, 2, 3), () => w.note('client', 'array')),
    );
    for (const chunk of [null, 5, {}]) {
      try {
        client.write(chunk as unknown as string);
      } catch (error) {
        w.note('client', error);
      }
    }
    client.end('');
    await w.closed(client, accepted);
    w.state('client', 'closed', client);
  },
  'write callbacks come in order': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    accepted.resume();
    for (let i = 0; i < 5; i++) client.write(pattern(i * 100_000 + 1), () => w.note('client', 'written', i));
    client.end(() => w.note('client', 'ended'));
    await w.closed(client, accepted);
  },
  'cork, uncork, and several chunks at once': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    noteHash(w, 'accepted', accepted);
    client.cork();
    client.write('one', () => w.note('client', 'one'));
    client.write(Buffer.from('two'), () => w.note('client', 'two'));
    client.write('d', 'latin1', () => w.note('client', 'three'));
    w.note('client', client.writableLength, client.bytesWritten, client.writableCorked);
    client.uncork();
    w.note('client', client.writableLength, client.bytesWritten);
    client.cork();
    client.write(pattern(200_000), () => w.note('client', 'long'));
    client.write('tail', () => w.note('client', 'tail'));
    client.end(() => w.note('client', 'end'));
    await w.closed(client, accepted);
  },
  'only texts, corked': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    accepted.setEncoding('utf8').on('data', (text) => w.note('accepted', text.length));
    client.cork();
    for (let i = 0; i < 100; i++) client.write(`line ${i} €\n`);
    client.end();
    await w.closed(client, accepted);
    w.note('client', client.bytesWritten);
  },
  'writes before the connection is open': async (w) => {
    const server = w.createServer({}, (socket) => {
      socket.setEncoding('utf8').on('data', (text) => w.note('accepted', text));
    });
    const port = await w.listen(server);
    const client = w.connect(port);
    client.resume();
    w.state('client', 'at once', client);
    w.note(
      'client',
      client.write('early', () => w.note('client', 'written')),
      client.bytesWritten,
    );
    w.note('client', client.pending, client.connecting);
    client.end();
    await when(client, 'close');
    server.close();
    await when(server, 'close');
  },
  pauseOnConnect: async (w) => {
    const server = w.createServer({ pauseOnConnect: true });
    const port = await w.listen(server);
    const accepting = when(server, 'connection');
    const client = w.connect(port);
    client.resume();
    client.end('hello');
    const accepted = (await accepting)[0] as net.Socket;
    await settle();
    w.note('accepted', accepted.isPaused(), accepted.bytesRead);
    accepted.setEncoding('utf8').on('data', (text) => w.note('accepted', text));
    accepted.resume();
    await w.closed(accepted, client);
  },
  'a buffer of the program (onread)': async (w) => {
    const server = w.createServer({}, (socket) => {
      socket.resume();
      socket.end(pattern(100_000));
    });
    const port = await w.listen(server);
    const accepting = when(server, 'connection');
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(1000);
    let most = 0;
    const client = w.connect(port, {
      onread: {
        buffer,
        callback(count, same) {
          if (same !== buffer) w.note('client', 'another buffer');
          most = Math.max(most, count);
          hash.update(same.subarray(0, count));
          return true;
        },
      },
    });
    await bothClosed(w, client, accepting);
    w.note('client', hash.digest('hex'), most <= 1000, client.bytesRead);
  },
  'onread with a function for buffers, which pauses': async (w) => {
    const server = w.createServer({}, (socket) => {
      socket.resume();
      socket.end(pattern(5000));
    });
    const port = await w.listen(server);
    const hash = createHash('sha256');
    let buffers = 0;
    let pauses = 0;
    const accepting = when(server, 'connection');
    const client = w.connect(port, {
      onread: {
        buffer: () => {
          buffers++;
          return Buffer.alloc(700);
        },
        callback(count, buffer) {
          hash.update(buffer.subarray(0, count));
          setImmediate(() => client.resume());
          pauses++;
          return false;
        },
      },
    });
    await bothClosed(w, client, accepting);
    w.note('client', hash.digest('hex'), buffers > 0, pauses > 0);
  },
  'bytesRead and bytesWritten count while data goes': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    accepted.pause();
    client.write(pattern(1000));
    client.write('€€€');
    w.note('client', client.bytesWritten);
    await settle();
    w.note('accepted', accepted.bytesRead, accepted.readableLength);
    client.end();
    accepted.resume();
    await w.closed(client, accepted);
    w.note('accepted', accepted.bytesRead);
  },
  'read() by hand, and unshift': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    client.write('abcdef');
    await when(accepted, 'readable');
    w.note('accepted', String(accepted.read(2)));
    accepted.unshift('AB');
    w.note('accepted', String(accepted.read(4)), accepted.read(10));
    client.end();
    await when(accepted, 'readable');
    w.note('accepted', String(accepted.read()), accepted.read());
    await w.closed(client, accepted);
  },
  'for await reads to the end': async (w) => {
    const { client, accepted } = await w.pair();
    client.resume();
    client.end(pattern(300_000));
    const hash = createHash('sha256');
    for await (const part of accepted) hash.update(part as Buffer);
    w.note('accepted', hash.digest('hex'));
    await w.closed(client, accepted);
  },
});
