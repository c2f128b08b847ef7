/** The live page (`--page`) of a switch and of an endpoint, in a real browser and under load. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { MAX_VIEWERS } from '../../observe/page/viewers.js';
import { Child } from '../../scripts/child.js';
import { type BrowserPage, Chromium } from '../support/browser/chromium.js';
import { parseSwitchStats } from '../support/observe/switch-stats.js';
import { command, describeWith } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';
import { until } from '../support/until.js';

const LIMIT = { timeout: 90_000 };
const LIVE = `document.body.dataset.state === 'live'`;
const DESKTOP = [1280, 900] as const;
const PHONE = [360, 740] as const;

/** An expression that gives the texts of the cells of a table. */
const CELLS = (id: string): string =>
  `Array.from(document.querySelectorAll('#${id} tbody tr'), (row) => Array.from(row.cells, (cell) => cell.innerText.trim()))`;

/** Text and its ground need a contrast of 4.5, lines of 3 (WCAG 2.2, 1.4.3 and 1.4.11). */
const CONTRASTS = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const light = (name) => {
    canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = Array.from(canvas.getImageData(0, 0, 1, 1).data, (v) =>
      v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = ['--text', '--dim', '--link', '--bad'].flatMap((text) =>
    ['--card', '--ground', '--faint'].map((ground) => [text, ground, contrast(text, ground), 4.5]));
  const lines = ['--s0', '--s1', '--s2', '--s3', '--s4', '--s5', '--s6', '--s7', '--good', '--asleep'].map((line) =>
    [line, '--card', contrast(line, '--card'), 3]);
  return [...texts, ['--text', '--bad-ground', contrast('--text', '--bad-ground'), 4.5], ...lines]
    .filter(([, , is, least]) => is < least).map((row) => row.join(' '));
})()`;

describeWith('the live page', [command('chromium')], () => {
  let browser: Chromium;
  let directory: ReturnType<typeof temporaryDirectory>;
  const children: Child[] = [];

  beforeAll(async () => {
    browser = await Chromium.start();
  }, 60_000);
  afterAll(() => browser?.close());
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    for (const child of children.splice(0).reverse()) await child.stop();
    directory.remove();
  });

  function start(...args: string[]): Child {
    const child = Child.tspmd(...args);
    children.push(child);
    return child;
  }

  const on = (i: number): string[] => [
    ...['--device', `vhost-user:${join(directory.path, `vhost${i}.sock`)}`, '--ip', `10.0.0.${i}/24`],
    ...['--mac', `52:54:00:00:00:0${i}`, '--hugepages', 'never'],
  ];

  async function addressOf(child: Child): Promise<string> {
    await child.waitFor(/^ready/m);
    return /^page: (http:\S+\/)$/m.exec(child.output)![1]!;
  }

  const startSwitch = (...more: string[]): Child =>
    start('switch', 'forward_n.bess', 'NPORTS=3', `DIR=${directory.path}`, '--name', 'lab', '--page', ...more);

  async function ping(count: number): Promise<void> {
    const more = ['--count', `${count}`, '--interval', '0.002', '--quiet'];
    const pings = start('ping', ...on(2), '--to', '10.0.0.1', ...more);
    expect((await pings.exited).code, pings.output).toBe(0);
  }

  function statsOf(child: Child): string {
    return spawnSync(...asTuple(Child.commandLine('stats', String(child.pid), '--json')), { encoding: 'utf8' }).stdout;
  }
  const asTuple = ([program, ...args]: [string, ...string[]]): [string, string[]] => [program, args];

  /** The rows of a table, by the text of their first cells. */
  async function rows(page: BrowserPage, id: string): Promise<Map<string, string[]>> {
    const cells = await page.evaluate<string[][]>(CELLS(id));
    return new Map(cells.map(([name = '', ...others]) => [name, others]));
  }

  /** Waits until the counters on the page are those of `tspmd stats`, and returns these. ARP may count a packet at any time. */
  async function untilShown<Stats>(
    page: BrowserPage,
    child: Child,
    read: (stdout: string) => Stats,
    counts: (stats: Stats) => readonly number[],
  ): Promise<Stats> {
    for (let looks = 0; looks < 60; looks++) {
      const stats = read(statsOf(child));
      const shown = (await page.evaluate<string[][]>(CELLS('ports'))).flat();
      if (counts(stats).every((count) => shown.includes(commas(count)))) return stats;
      await delay(200);
    }
    throw new Error(`the page never shows ${counts(read(statsOf(child))).map(commas)}`);
  }
  const commas = (value: number): string => value.toLocaleString('en-US');

  it('of a switch has the counters of tspmd stats, and asks nobody else', LIMIT, async () => {
    const bess = startSwitch();
    const address = await addressOf(bess);
    const page = await browser.open(address, ...DESKTOP);
    await start('run', ...on(1)).waitFor(/^ready/m);
    await ping(300);
    const { ports, summary } = await untilShown(page, bess, parseSwitchStats, ({ ports: { vm1 } }) => [
      ...[vm1!.inc.packets, vm1!.out.packets, vm1!.inc.bytes, vm1!.out.bytes],
    ]);
    const { inc, out } = ports.vm1!;
    expect(inc.packets).toBeGreaterThanOrEqual(300);
    expect((await rows(page, 'ports')).get('vm1')!.slice(5, 11)).toEqual(
      [inc.packets, out.packets, inc.bytes, out.bytes, inc.dropped, out.dropped].map(commas),
    );
    const drops = await rows(page, 'drops');
    const shown = [...drops.values()].reduce((sum, [, count = '']) => sum + Number(count.replaceAll(',', '')), 0);
    expect(shown).toBe(summary.dropped.total);
    for (const [, , advice] of drops.values()) expect(advice).toMatch(/\w{3}/);
    expect(await page.evaluate('document.title')).toBe('lab · tspmd switch');
    expect((await page.texts('#topology .title')).sort()).toEqual(
      ['fwd', 'flood', ...[1, 2, 3].flatMap((i) => [`vm${i}`, `vm${i}`])].sort(),
    );
    expect(page.complaints).toEqual([]);
    expect(page.requests.length).toBeGreaterThanOrEqual(2);
    expect(page.requests.filter((url) => !url.startsWith(address) && !url.startsWith('data:'))).toEqual([]);
    await page.close();
  });

  it('of an endpoint shows its threads, rings and load', LIMIT, async () => {
    await startSwitch().waitFor(/^ready/m);
    const endpoint = start('run', ...on(1), '--mode', '2kb', '--page', '--metrics', '0');
    const page = await browser.open(await addressOf(endpoint), ...DESKTOP);
    await page.waitFor(LIVE);
    const pings = start('ping', ...on(2), '--to', '10.0.0.1', '--interval', '0.001', '--quiet');
    await page.waitFor(`document.querySelectorAll('#topology .edge.is-busy').length === 4`);
    expect((await page.texts('#topology .rate')).filter((text) => /^[\d.]+ k?pps$/.test(text))).toHaveLength(4);
    expect(await page.evaluate(`document.querySelectorAll('#charts canvas').length`)).toBe(4);
    expect((await page.texts('#charts figure > .unseen')).join(' ')).toMatch(
      /Packets in the last .*in: now [\d.]+ k?pps, lowest/,
    );
    expect([...(await rows(page, 'threads')).keys()].map((name) => name.split(',')[0]!.trim()).sort()).toEqual([
      ...['Rx worker', 'Tx worker', 'core 0'],
    ]);
    await pings.stop();
    const read = (stdout: string) =>
      (JSON.parse(stdout) as { port: { counters: Record<string, number> } }).port.counters;
    const counters = await untilShown(page, endpoint, read, ({ rx_packets, tx_packets, rx_bytes, tx_bytes }) => [
      ...[rx_packets!, tx_packets!, rx_bytes!, tx_bytes!],
    ]);
    expect(counters.rx_packets).toBeGreaterThan(100);
    const metrics = await (await fetch(/metrics: (\S+)/.exec(endpoint.output)![1]!)).text();
    expect(metrics).toMatch(/^tspmd_page_viewers 1$/m);
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  it('of a server shows its connections and flows', LIMIT, async () => {
    await startSwitch().waitFor(/^ready/m);
    const server = start('run', ...on(1), '--app', 'http', '--page');
    const page = await browser.open(await addressOf(server), ...DESKTOP);
    start('get', ...on(2), 'http://10.0.0.1/', '--connections', '3', '--requests', '100000000');
    await page.waitFor(`document.querySelectorAll('#connections tbody tr').length === 3`);
    for (const cells of await page.evaluate<string[][]>(CELLS('connections')))
      expect(cells.slice(1, 4)).toEqual(['10.0.0.1:80', expect.stringMatching(/^10\.0\.0\.2:\d+$/), 'ESTABLISHED']);
    expect((await page.texts('#connections caption'))[0]).toBe('All 3 connections');
    await page.waitFor(`document.querySelectorAll('#flows tbody tr').length >= 3`);
    const flows = await page.evaluate<string[][]>(CELLS('flows'));
    expect(flows.map(([, , protocol]) => protocol)).toContain('tcp');
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  it('can be read on a phone, in the dark, and with great contrast', LIMIT, async () => {
    const address = await addressOf(startSwitch());
    const page = await browser.open(address, ...PHONE);
    await page.waitFor(LIVE);
    await page.waitFor(`document.querySelectorAll('#charts canvas').length >= 3`);
    for (const scheme of ['light', 'dark']) {
      await page.prefer({ 'prefers-color-scheme': scheme, 'prefers-reduced-motion': 'reduce' });
      expect(await page.evaluate(CONTRASTS), scheme).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE[0]);
      expect(await page.evaluate(`getComputedStyle(document.querySelector('main')).transitionDuration`)).toBe('0s');
    }
    expect(await page.evaluate(`getComputedStyle(document.body).backgroundColor`)).toBe('rgb(15, 19, 25)');
    expect(await page.evaluate(`document.querySelector('#topology svg').width.baseVal.value`)).toBeLessThan(PHONE[0]);
    await page.close();
  });

  it('can be used with a keyboard, and has names for all of its parts', LIMIT, async () => {
    const page = await browser.open(await addressOf(startSwitch()), ...DESKTOP);
    await page.waitFor(LIVE);
    const focused = (): Promise<string> =>
      page.evaluate(`document.activeElement.textContent.trim() || document.activeElement.id`);
    await page.press('Tab');
    expect(await focused()).toBe('Skip to the figures');
    await page.press('Tab');
    expect(await focused()).toBe('Pause');
    await page.press(' ');
    await page.waitFor(`document.body.dataset.state === 'paused'`);
    expect(await page.evaluate(`document.getElementById('pause').ariaPressed`)).toBe('true');
    await page.press(' ');
    await page.waitFor(LIVE);
    for (let tabs = 0; tabs < 40 && !(await focused()).startsWith('Packets in'); tabs++) await page.press('Tab');
    const order = `[...document.querySelectorAll('#ports th')].map((head) => head.ariaSort)[6]`;
    await page.press('Enter');
    expect(await page.evaluate(order)).toBe('descending');
    await page.press('Enter');
    expect(await page.evaluate(order)).toBe('ascending');
    expect(await focused()).toContain('Packets in');
    const parts = ['header', 'main', 'footer', 'h1', 'main > section[aria-labelledby] > h2:first-child', '[aria-live]'];
    for (const part of parts) expect((await page.texts(part)).length, part).toBeGreaterThan(0);
    expect((await page.texts('caption')).filter((text) => text.length < 10)).toEqual([]);
    expect((await page.texts('caption')).length).toBe((await page.texts('table')).length);
    const nameless = `[...document.querySelectorAll('button, [role=region], [role=img], svg:not([aria-hidden])')].filter((e) => !(e.ariaLabel || e.textContent.trim())).length`;
    expect(await page.evaluate(nameless)).toBe(0);
    await page.close();
  });

  it('says when a port goes, when it is old, and connects again by itself', LIMIT, async () => {
    const first = startSwitch('--metrics', '0');
    const address = await addressOf(first);
    const endpoint = start('run', ...on(1));
    await endpoint.waitFor(/^ready/m);
    const page = await browser.open(address, ...DESKTOP);
    await page.waitFor(
      `document.querySelector('#topology .in.is-up') && document.querySelector('#topology .in.is-down')`,
    );
    await endpoint.stop();
    await page.waitFor(`document.getElementById('announcer').textContent.includes('port vm1 is down')`);
    await first.stop();
    await page.waitFor(`document.body.dataset.state === 'stale' && document.title.startsWith('stale: lab')`);
    expect(await page.evaluate(`document.getElementById('announcer').textContent`)).toContain('the connection is lost');
    await startSwitch('--metrics', new URL(address).host).waitFor(/^ready/m);
    await page.waitFor(LIVE);
    expect((await rows(page, 'ports')).get('vm1, down')!.slice(5, 7)).toEqual(['0', '0']);
    await page.close();
  });

  it('shows names as what they are, whatever is in them', LIMIT, async () => {
    const name = '<img src=x onerror=alert(1)>';
    const script = join(directory.path, 'hostile.bess');
    const vdev = `eth_vhost0,iface=${join(directory.path, '<b>.sock')},queues=1`;
    writeFileSync(
      script,
      `p = PMDPort(name='${name}', vdev='${vdev}')\nPortInc(port='${name}') -> PortOut(port='${name}')\n`,
    );
    const page = await browser.open(await addressOf(start('switch', script, '--page')), ...DESKTOP);
    await page.waitFor(LIVE);
    expect([...(await rows(page, 'ports')).keys()]).toEqual([`${name}, down`]);
    expect(await page.evaluate(`document.querySelectorAll('main img, main b:not(li b)').length`)).toBe(0);
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  it('costs nobody anything when a viewer never reads', LIMIT, async () => {
    const bess = startSwitch('--metrics', '0');
    const address = await addressOf(bess);
    const { port, host } = new URL(address);
    const sockets = Array.from({ length: MAX_VIEWERS + 2 }, () => connect(Number(port), '127.0.0.1'));
    for (const socket of sockets)
      socket
        .pause()
        .on('error', () => undefined)
        .write(`GET /events HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    await until('all have asked', () => sockets.every(({ bytesWritten }) => bytesWritten > 0));
    const page = await browser.open(address, ...DESKTOP);
    await start('run', ...on(1)).waitFor(/^ready/m);
    await ping(100);
    expect(parseSwitchStats(statsOf(bess)).ports.vm1!.inc.packets).toBeGreaterThanOrEqual(100);
    const metrics = await (await fetch(`${address}metrics`)).text();
    expect(metrics).toMatch(new RegExp(`^tspmd_page_viewers ${MAX_VIEWERS}$`, 'm'));
    expect(await page.evaluate('document.body.dataset.state')).toBe('connecting');
    for (const socket of sockets) socket.destroy();
    await page.waitFor(LIVE);
    await page.close();
  });
});
