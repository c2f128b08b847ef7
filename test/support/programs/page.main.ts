/**
 * A program with a page that a browser shows: 4 style sheets, 4 scripts, 12 images and a web socket. Each makes one square
 * of the page green. The last image comes when the page has reported; so the page is loaded only then.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { PNG } from 'pngjs';
import { WebSocketServer } from 'ws';

const SQUARE = 50;
const STYLES = 4;
const SCRIPTS = 4;
const IMAGES = 12;
/** The web socket has the square after all of these. */
const SQUARES = STYLES + SCRIPTS + IMAGES + 1;
const GREEN = [0, 160, 0, 255];

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

const PAGE = `<!doctype html>
<title>Twenty resources</title>
<style>body { margin: 0 } div, img { float: left; width: ${SQUARE}px; height: ${SQUARE}px; background: red }</style>
${numbers(STYLES)
  .map((n) => `<link rel="stylesheet" href="/style/${n}">`)
  .join('\n')}
${numbers(STYLES)
  .map((n) => `<div id="style${n}"></div>`)
  .join('\n')}
${numbers(SCRIPTS)
  .map((n) => `<div id="script${n}"></div><script src="/script/${n}"></script>`)
  .join('\n')}
${numbers(IMAGES)
  .map((n) => `<img src="/image/${n}">`)
  .join('\n')}
<div id="socket"></div>
<script>
  const others = [...document.images].slice(0, -1);
  const loaded = others.map((image) => image.decode());
  const heard = new Promise((resolve, reject) => {
    const socket = new WebSocket('ws://' + location.host + '/socket');
    socket.onopen = () => socket.send('x'.repeat(100000));
    socket.onerror = reject;
    socket.onmessage = ({ data }) => {
      if (data === '100000') document.getElementById('socket').style.background = 'rgb(0, 160, 0)';
      resolve(data);
    };
  });
  Promise.all([heard, ...loaded]).then(
    ([length]) => fetch('/report', { method: 'POST', body: 'length ' + length + ', images ' + loaded.length }),
    (error) => fetch('/report', { method: 'POST', body: 'failed: ' + error }),
  );
</script>
`;

function greenImage(): Buffer {
  const image = new PNG({ width: SQUARE, height: SQUARE });
  for (let at = 0; at < image.data.length; at += GREEN.length) image.data.set(GREEN, at);
  return PNG.sync.write(image);
}

const IMAGE = greenImage();
let tellReported: () => void = () => {};
const reported = new Promise<void>((resolve) => {
  tellReported = resolve;
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, kind = '', name = ''] = (request.url ?? '').split('/');
  const send = (type: string, body: string | Buffer): void => {
    response.writeHead(200, { 'Content-Type': type }).end(body);
  };
  if (kind === 'report') {
    let text = '';
    for await (const part of request) text += part;
    send('text/plain', 'thank you');
    console.log(`reported: ${text}`);
    tellReported();
  } else if (kind === 'style') send('text/css', `#style${name} { background: rgb(0, 160, 0) !important }`);
  else if (kind === 'script') {
    send('text/javascript', `document.getElementById('script${name}').style.background = 'rgb(0, 160, 0)';`);
  } else if (kind === 'image') {
    if (Number(name) === IMAGES - 1) await reported;
    send('image/png', IMAGE);
  } else if (kind === '') send('text/html', PAGE);
  else response.writeHead(404).end();
}

const server = createServer((request, response) => void answer(request, response));
new WebSocketServer({ server }).on('connection', (client) => {
  client.on('message', (text) => client.send(String(String(text).length)));
});
server.listen(80, () => console.log(`listening: ${SQUARES} squares of ${SQUARE}`));
