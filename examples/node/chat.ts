/**
 * A chat: a page, and a web socket by the package ws. It knows nothing of tspmd.
 *
 *     node dist/examples/node/chat.js                        serves the page; the port is 80, or that of PORT
 *     node dist/examples/node/chat.js ws://10.0.0.1 Ada      joins a chat from a terminal
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { WebSocket, WebSocketServer } from 'ws';

const MAX_PAYLOAD = 4096;
/** A client that has not answered a ping for this long is gone, in ms. */
const PING_MS = 30_000;

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<style>body { font: 16px sans-serif; margin: 2em } li { list-style: none } #state { color: #777 }</style>
<h1>Chat</h1>
<p id="state">connecting</p>
<form><input id="text" autofocus autocomplete="off" placeholder="say something"> <button>Send</button></form>
<ul id="lines"></ul>
<script>
  const name = new URLSearchParams(location.search).get('name') ?? 'somebody';
  const socket = new WebSocket('ws://' + location.host + '/?name=' + encodeURIComponent(name));
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  socket.onopen = () => show('state', 'you are ' + name);
  socket.onclose = () => show('state', 'the chat is over');
  socket.onmessage = ({ data }) => {
    const { from, text } = JSON.parse(data);
    document.getElementById('lines').prepend(Object.assign(document.createElement('li'), { textContent: from + ': ' + text }));
  };
  document.forms[0].onsubmit = (event) => {
    event.preventDefault();
    socket.send(document.getElementById('text').value);
    document.forms[0].reset();
  };
</script>
</html>
`;

interface Message {
  readonly from: string;
  readonly text: string;
}

function serve(): void {
  const server = createServer((request, response) => {
    const isPage = request.url?.split('?')[0] === '/';
    response.writeHead(isPage ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(isPage ? PAGE : 'nothing is here\n');
  });
  const chat = new WebSocketServer({ server, maxPayload: MAX_PAYLOAD });
  const answered = new WeakSet<WebSocket>();
  const tell = (message: Message): void => {
    for (const client of chat.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(JSON.stringify(message));
    }
  };
  chat.on('connection', (client, request) => {
    const from = new URL(request.url ?? '/', 'ws://chat').searchParams.get('name') ?? 'somebody';
    answered.add(client);
    client.on('pong', () => answered.add(client));
    client.on('error', (error) => console.error(`${from}: ${error.message}`));
    client.on('message', (text) => tell({ from, text: String(text) }));
    client.on('close', () => tell({ from: 'chat', text: `${from} leaves` }));
    tell({ from: 'chat', text: `${from} comes` });
  });
  setInterval(() => {
    for (const client of chat.clients) {
      if (answered.delete(client)) client.ping();
      else client.terminate();
    }
  }, PING_MS).unref();
  server.listen(Number(process.env.PORT ?? 80), () => {
    const { address, port } = server.address() as AddressInfo;
    console.log(`listening at ${address}:${port}`);
  });
}

function join(url: string, name: string): void {
  const socket = new WebSocket(`${url}/?name=${encodeURIComponent(name)}`);
  socket.on('open', () => {
    const lines = createInterface({ input: process.stdin });
    lines.on('line', (line) => socket.send(line));
    lines.on('close', () => socket.close());
    socket.on('close', () => lines.close());
  });
  socket.on('message', (data) => {
    const { from, text } = JSON.parse(String(data)) as Message;
    console.log(`${from}: ${text}`);
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}

const [url, name = 'somebody'] = process.argv.slice(2);
if (url === undefined) serve();
else join(url, name);
