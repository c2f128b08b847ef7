/** Metrics of running processes, read by Prometheus and by its parser. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { command, describeWith } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';
import { CORE_MODES, withCores } from '../support/threads/modes.js';
import { until } from '../support/until.js';

const LIMIT = { timeout: 60_000 };
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0';

describeWith('metrics', [command('promtool')], () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  const children: Child[] = [];

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

  const socket = (i: number): string => join(directory.path, `vm${i}.sock`);
  const on = (i: number): string[] => [
    ...['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`],
    ...['--hugepages', 'never'],
  ];

  /** Waits until the process is ready, and returns the address of its metrics. */
  async function addressOf(child: Child, ready = /^ready/m): Promise<string> {
    await child.waitFor(ready);
    return /metrics: (http:\S+)$/m.exec(child.output)![1]!;
  }

  async function startSwitch(): Promise<string> {
    const sockets = [1, 2].map((i) => `VM${i}_SOCKET=${socket(i)}`);
    return addressOf(start('switch', 'forward_script.bess', ...sockets, '--metrics', '0'));
  }

  /** Reads metrics, and has Prometheus' own parser check them. */
  async function read(address: string): Promise<string> {
    const response = await fetch(address);
    const text = await response.text();
    expect(response.status, text).toBe(200);
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', timeout: 20_000 });
    expect(checked.stdout + checked.stderr).toBe('');
    expect(checked.status).toBe(0);
    return text;
  }

  /** Returns the sum of a metric over all its labels that match. */
  function sum(text: string, name: string, labels = ''): number {
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    expect(lines, name).not.toEqual([]);
    return lines
      .filter((line) => line.includes(labels))
      .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async function ping(count: number): Promise<void> {
    const pings = start('ping', ...on(2), '--to', '10.0.0.1', '--count', `${count}`, '--interval', '0.005', '--quiet');
    expect((await pings.exited).code, pings.output).toBe(0);
  }

  it.each([['single', []] as const, ...CORE_MODES.map((mode) => [mode, withCores(mode, 2)] as const)])(
    'of a port in mode %s are the counters, and pass the check of Prometheus',
    LIMIT,
    async (mode, layout) => {
      const ofSwitch = await startSwitch();
      const address = await addressOf(start('run', ...on(1), '--name', 'web', '--metrics', '0', ...layout));
      await ping(40);
      const text = await read(address);
      expect(text).toMatch(new RegExp(`^tspmd_info\\{pid="\\d+",command="run",name="web",mode="${mode}",`, 'm'));
      expect(sum(text, 'tspmd_rx_delivered_total')).toBe(40);
      // The echo app answers each.
      expect(sum(text, 'tspmd_app', 'name="icmp_echoes"')).toBe(40);
      expect(sum(text, 'tspmd_device_packets_total', 'direction="rx"')).toBe(sum(text, 'tspmd_rx_frames_total'));
      expect(sum(text, 'tspmd_rss_entries')).toBe(128);
      expect(sum(text, 'tspmd_dropped_packets_total', 'direction="tx"')).toBe(0);
      expect(sum(text, 'tspmd_thread_alive')).toBeGreaterThanOrEqual(mode === 'single' ? 1 : 3);
      const bess = await read(ofSwitch);
      const received = sum(bess, 'tspmd_switch_received_packets_total');
      expect(received).toBe(sum(bess, 'tspmd_switch_port_packets_total', 'direction="in"'));
      expect(received + sum(bess, 'tspmd_switch_copied_packets_total')).toBe(
        sum(bess, 'tspmd_switch_forwarded_packets_total') + sum(bess, 'tspmd_switch_dropped_packets_total'),
      );
      expect(sum(bess, 'tspmd_switch_gate_packets_total', 'module="fwd"')).toBe(received);
    },
  );

  it('of a Node program have those of its TCP/IP stack', LIMIT, async () => {
    await startSwitch();
    const file = join(directory.path, 'server.mjs');
    writeFileSync(file, `import { createServer } from 'node:http'; createServer((_, r) => r.end('x')).listen(80);`);
    const program = start('exec', ...on(1), '--metrics', '0', file);
    const address = await addressOf(program, /metrics: /);
    const get = start('get', ...on(2), 'http://10.0.0.1/');
    expect((await get.exited).code, get.output).toBe(0);
    const text = await read(address);
    expect(sum(text, 'tspmd_tcp_opened_passive_total')).toBe(1);
    expect(sum(text, 'tspmd_tcp_connections') + sum(text, 'tspmd_tcp_closed_total')).toBeGreaterThan(0);
    for (const state of ['SYN-RECEIVED', 'ESTABLISHED', 'TIME-WAIT'])
      expect(text).toMatch(new RegExp(`^tspmd_tcp_connections\\{core="0",state="${state}"\\} [01]$`, 'm'));
    const samples = sum(text, 'tspmd_tcp_rtt_seconds_count');
    expect(samples).toBeGreaterThanOrEqual(1);
    expect(sum(text, 'tspmd_tcp_rtt_seconds_bucket', 'le="+Inf"')).toBe(samples);
    expect(sum(text, 'tspmd_tcp_rtt_seconds_sum')).toBeGreaterThan(0);
    const open = await (await fetch(address, { headers: { accept: OPEN_METRICS } })).text();
    expect(open).toMatch(/^# TYPE tspmd_tcp_opened_passive counter\ntspmd_tcp_opened_passive_total\{core="0"\} 1$/m);
    expect(open).toMatch(/\n# EOF\n$/);
  });

  it('are scraped by a Prometheus', LIMIT, async () => {
    const targets = [await startSwitch(), await addressOf(start('run', ...on(1), '--metrics', '0'))];
    await ping(30);
    const hosts = targets.map((address) => new URL(address).host);
    const config = join(directory.path, 'prometheus.yml');
    writeFileSync(
      config,
      `global: {scrape_interval: 1s}\nscrape_configs: [{job_name: tspmd, static_configs: [{targets: ${JSON.stringify(hosts)}}]}]\n`,
    );
    const data = join(directory.path, 'data');
    mkdirSync(data);
    const port = await freePort();
    const options = [`--config.file=${config}`, `--storage.tsdb.path=${data}`];
    children.push(Child.spawn('prometheus', [...options, `--web.listen-address=127.0.0.1:${port}`]));
    let answer = '';
    const ask = async (query: string): Promise<string> => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
      return fetch(url).then(
        (response) => response.text(),
        () => '',
      );
    };
    for (let tries = 0; tries < 400 && !answer.includes('"30"'); tries++) {
      answer = await ask('sum(tspmd_rx_delivered_total)');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(answer).toContain('"30"');
    expect(await ask('up{job="tspmd"}')).not.toContain('"0"');
    // The queries of the dashboard are right.
    const page = readFileSync(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8');
    const queries = Array.from(
      page.matchAll(/"expr": ("(?:[^"\\\n]|\\.)*")/g),
      ([, text]) => JSON.parse(text!) as string,
    );
    expect(queries.length).toBeGreaterThan(15);
    for (const text of queries) {
      const query = text.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '30s');
      expect(await ask(query), query).toContain('"status":"success"');
    }
  });

  it('at an address that is in use are refused, in one line', LIMIT, async () => {
    const address = new URL(await startSwitch());
    const taken = start('run', ...on(1), '--metrics', address.host);
    expect((await taken.exited).code).toBe(1);
    expect(taken.output).toMatch(new RegExp(`^tspmd: --metrics ${address.host}: .*EADDRINUSE.*\\n$`));
    const wrong = start('run', ...on(1), '--metrics', 'x');
    expect((await wrong.exited).code).toBe(2);
    expect(wrong.output).toContain("'x' is not [HOST:]PORT, such as 9464 or 0.0.0.0:9464.");
  });

  it('go on while a client reads nothing; packets do, too', LIMIT, async () => {
    await startSwitch();
    const address = await addressOf(start('run', ...on(1), '--metrics', '0'));
    const clients = Array.from({ length: 20 }, () => connect(Number(new URL(address).port), '127.0.0.1'));
    for (const client of clients)
      client
        .pause()
        .on('error', () => undefined)
        .write('GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await until('all have asked', () => clients.every((client) => client.bytesWritten > 0));
    await ping(20);
    expect(sum(await read(address), 'tspmd_rx_delivered_total')).toBe(20);
    for (const client of clients) client.destroy();
  });
});

/** Returns a TCP port of the loopback that nobody has. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
