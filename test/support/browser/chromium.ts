/**
 * A Chromium without a window, driven by the DevTools protocol. It notes each request of a page, and everything that a page
 * complains about.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import WebSocket from 'ws';
import { Child } from '../../../scripts/child.js';
import { temporaryDirectory } from '../resources.js';

/** Without a sandbox, which root cannot have; and without what it asks of the internet by itself. */
export const CHROMIUM_OPTIONS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions'],
  ...['--hide-scrollbars', '--force-device-scale-factor=1', '--no-proxy-server', '--force-color-profile=srgb'],
];

/** How long a page may take until it shows something, in ms. */
const PATIENCE_MS = 30_000;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, never>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

type Answer = { readonly resolve: (result: never) => void; readonly reject: (reason: Error) => void };

export class Chromium {
  private readonly waiting = new Map<number, Answer>();
  private readonly pages = new Map<string, BrowserPage>();
  private last = 0;

  private constructor(
    private readonly child: Child,
    private readonly socket: WebSocket,
    private readonly directory: ReturnType<typeof temporaryDirectory>,
  ) {
    socket.on('message', (data) => this.take(JSON.parse(String(data)) as Message));
  }

  static async start(): Promise<Chromium> {
    const directory = temporaryDirectory();
    const folder = `--user-data-dir=${join(directory.path, 'profile')}`;
    const child = Child.spawn('chromium', [...CHROMIUM_OPTIONS, folder, '--remote-debugging-port=0', 'about:blank']);
    try {
      const [, url] = await child.waitFor(/^DevTools listening on (ws:\S+)/m, 30_000);
      const socket = new WebSocket(url!);
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      return new Chromium(child, socket, directory);
    } catch (error) {
      await child.stop('SIGKILL');
      directory.remove();
      throw error;
    }
  }

  /** Opens a page of this size, in CSS pixels. */
  async open(url: string, width: number, height: number): Promise<BrowserPage> {
    const { targetId } = await this.ask<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const about = { targetId, flatten: true };
    const { sessionId } = await this.ask<{ sessionId: string }>('Target.attachToTarget', about);
    const page = new BrowserPage((method, params) => this.ask(method, params, sessionId), targetId);
    this.pages.set(sessionId, page);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await page.ask(`${domain}.enable`);
    await page.resize(width, height);
    await page.navigate(url);
    return page;
  }

  async close(): Promise<void> {
    this.socket.terminate();
    await this.child.stop('SIGKILL');
    this.directory.remove();
  }

  private ask<Result>(method: string, params: object = {}, sessionId?: string): Promise<Result> {
    const id = ++this.last;
    return new Promise<Result>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
    });
  }

  private take({ id, method, params, result, error, sessionId }: Message): void {
    if (method !== undefined) this.pages.get(sessionId ?? '')?.take(method, params ?? {});
    const waiting = id === undefined ? undefined : this.waiting.get(id);
    if (id === undefined || waiting === undefined) return;
    this.waiting.delete(id);
    if (error === undefined) waiting.resolve(result as never);
    else waiting.reject(new Error(error.message));
  }
}

export class BrowserPage {
  /** The addresses of all requests. */
  readonly requests: string[] = [];
  /** Errors and warnings, of scripts and of the browser. */
  readonly complaints: string[] = [];

  private onLoad: () => void = () => {};

  constructor(
    readonly ask: <Result>(method: string, params?: object) => Promise<Result>,
    private readonly targetId: string,
  ) {}

  take(method: string, params: Record<string, unknown>): void {
    const text = JSON.stringify(params);
    if (method === 'Page.loadEventFired') this.onLoad();
    if (method === 'Network.requestWillBeSent') this.requests.push((params.request as { url: string }).url);
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') this.complaints.push(text);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(String(params.type)))
      this.complaints.push(text);
  }

  /** Goes to an address; resolves when the page has been loaded. */
  async navigate(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.onLoad = resolve;
    });
    await this.ask('Page.navigate', { url });
    await loaded;
  }

  /** Returns what an expression gives, as JSON. */
  async evaluate<Result>(expression: string): Promise<Result> {
    const answer = await this.ask<{ result: { value: Result }; exceptionDetails?: object }>('Runtime.evaluate', {
      ...{ expression, returnByValue: true, awaitPromise: true },
    });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return answer.result.value;
  }

  /** Waits until an expression is true. Rejects when that does not happen in a time that no sound run needs. */
  async waitFor(expression: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (performance.now() > deadline) {
        throw new Error(
          `${expression} did not become true; the page says:\n${await this.evaluate('document.body.innerText')}`,
        );
      }
      await delay(50);
    }
  }

  /** The text that elements show, in order. */
  texts(selector: string): Promise<string[]> {
    return this.evaluate(`Array.from(document.querySelectorAll(${JSON.stringify(selector)}), (e) => e.textContent)`);
  }

  async resize(width: number, height: number): Promise<void> {
    await this.ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  }

  async prefer(features: Readonly<Record<string, string>>): Promise<void> {
    const list = Object.entries(features).map(([name, value]) => ({ name, value }));
    await this.ask('Emulation.setEmulatedMedia', { features: list });
  }

  /** Presses and releases a key, such as `Tab` or `Enter`. */
  async press(key: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = { Tab: 9, Enter: 13, ' ': 32 };
    const text = key === 'Enter' ? '\r' : key === ' ' ? ' ' : undefined;
    const about = { key, windowsVirtualKeyCode: codes[key] };
    await this.ask('Input.dispatchKeyEvent', { type: 'keyDown', ...about, ...(text === undefined ? {} : { text }) });
    await this.ask('Input.dispatchKeyEvent', { type: 'keyUp', ...about });
  }

  /** Writes a picture of what is on the screen. */
  async picture(file: string): Promise<void> {
    const shot = await this.ask<{ data: string }>('Page.captureScreenshot');
    writeFileSync(file, Buffer.from(shot.data, 'base64'));
  }

  async close(): Promise<void> {
    await this.ask('Target.closeTarget', { targetId: this.targetId });
  }
}
