/** `--log json`: each event is an object of JSON with a stable name and its fields, on the stream of its line. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { EVENTS, type EventName } from '../../drivers/log/events.js';
import { Child } from '../../scripts/child.js';
import { threadNames } from '../support/resources.js';
import { withCores } from '../support/threads/modes.js';
import { until } from '../support/until.js';

const LIMIT = { timeout: 60_000 };
const directory = mkdtempSync(join(tmpdir(), 'tspmd-log-'));
const children: Child[] = [];

interface Event {
  readonly time: string;
  readonly level: string;
  readonly event: EventName;
  readonly message: string;
  readonly [field: string]: unknown;
}

function start(...args: string[]): Child {
  const child = Child.tspmd(...args);
  children.push(child);
  return child;
}

/** The events in a text, each checked against the table of all events. Every line must be one. */
function eventsIn(text: string): Event[] {
  const events = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);
  for (const { time, level, event, message, ...fields } of events) {
    expect(new Date(time).toISOString()).toBe(time);
    expect(['info', 'warning', 'error']).toContain(level);
    expect(message).toEqual(expect.any(String));
    const { always, sometimes } = EVENTS[event];
    expect(Object.keys(fields)).toEqual(expect.arrayContaining([...always]));
    expect([...always, ...sometimes]).toEqual(expect.arrayContaining(Object.keys(fields)));
  }
  return events;
}

const namesOf = (events: readonly Event[]): string[] => events.map(({ event }) => event);
const find = (events: readonly Event[], name: EventName): Event | undefined =>
  events.find(({ event }) => event === name);

const socket = (i: number): string => join(directory, `vm${i}.sock`);
const on = (i: number): string[] => [
  ...['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`],
  ...['--hugepages', 'never', '--log', 'json'],
];

/** Starts a switch for two endpoints. Its script prints a line of its own. */
async function startSwitch(): Promise<Child> {
  const file = join(directory, 'two.bess');
  const port = (i: number): string => `vm${i} = PMDPort(name='vm${i}', vdev='eth_vhost${i},iface=${socket(i)}')`;
  const modules = [
    ...['table::L2Forward(size=64, bucket=2)', "table.add(entries=[{'addr': '52:54:00:00:00:02', 'gate': 0}])"],
    ...['PortInc(port=vm1) -> table', 'PortInc(port=vm2) -> Sink()', 'table:0 -> PortOut(port=vm2)'],
  ];
  writeFileSync(file, [port(1), port(2), ...modules, "print('a line of the script')", ''].join('\n'));
  const bess = start('switch', file, '--log', 'json');
  await bess.waitFor(/"event":"ready"/);
  return bess;
}

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
});

afterAll(() => rmSync(directory, { recursive: true }));

describe('the log of a switch and of an endpoint', () => {
  it('has their events with fields, and leaves what a script prints', LIMIT, async () => {
    const bess = await startSwitch();
    const echo = start('run', ...on(1), '--stats-period', '0.2', '--metrics', '0');
    await echo.waitFor(/"event":"ready"/);
    await echo.waitFor(/"event":"rates"/);
    await bess.waitFor(/"event":"unknown-station"/);
    echo.signal('SIGUSR1');
    await echo.waitFor(/"event":"counters"/);
    bess.signal('SIGUSR1');
    await bess.waitFor(/"event":"counters"/);
    expect((await echo.stop()).code).toBe(0);
    await bess.waitFor(/"event":"port".*"state":"down"/);
    await bess.stop();

    const out = eventsIn(echo.stdout);
    expect(find(out, 'ready')).toMatchObject({
      ...{ level: 'info', kind: 'run', address: '10.0.0.1/24', mac: '52:54:00:00:00:01', mode: 'single', app: 'echo' },
      message: `ready: 10.0.0.1/24 at 52:54:00:00:00:01 on vhost-user:${socket(1)}, mode single, app echo`,
    });
    expect(find(out, 'metrics')!.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    expect(find(out, 'rates')).toMatchObject({ thread: null, rxPackets: 0, dropped: {} });
    expect(find(out, 'counters')!.counters).toMatchObject({ tx_packets: expect.any(Number) });
    expect(find(out, 'stopped')).toMatchObject({ received: expect.any(Number), dropped: expect.any(Object) });
    expect(find(out, 'totals')).toMatchObject({ app: 'echo', core: 0, totals: expect.any(Object) });

    const script = 'a line of the script\n';
    expect(bess.stdout).toContain(script);
    const ofSwitch = eventsIn(bess.output.replace(script, ''));
    expect(find(ofSwitch, 'ready')).toMatchObject({ kind: 'switch', ports: 2, modules: 5 });
    const ports = ofSwitch.filter(({ event }) => event === 'port');
    expect(ports.map(({ port, state, level }) => ({ port, state, level }))).toEqual([
      { port: 'vm1', state: 'up', level: 'info' },
      { port: 'vm1', state: 'down', level: 'warning' },
    ]);
    expect(find(ofSwitch, 'unknown-station')).toMatchObject({ port: 'vm1', mac: '52:54:00:00:00:01' });
    expect(find(ofSwitch, 'counters')!.counters).toMatchObject({ summary: { dropped: expect.any(Object) } });
  });

  it('says that the link goes, that a program hangs, and that it answers again', LIMIT, async () => {
    const bess = await startSwitch();
    const file = join(directory, 'hang.mjs');
    writeFileSync(
      file,
      // To open a pipe takes until its other end is opened.
      `import { readFileSync } from 'node:fs';
       process.on('SIGUSR2', () => readFileSync(process.argv[2]));
       setInterval(() => {}, 1000); console.log('a line of the program');`,
    );
    const pipe = join(directory, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const program = start('exec', ...on(1), file, pipe);
    await program.waitFor(/a line of the program/);
    // Hangs are watched for from half a second after the start.
    await until('the watch', () => threadNames(program.pid).includes('tspmd-watch'));
    program.signal('SIGUSR2');
    await program.waitFor(/"event":"hang"/);
    writeFileSync(pipe, '');
    await program.waitFor(/"event":"hang-over"/);
    await bess.stop();
    await program.waitFor(/"event":"link".*"state":"down"/);
    expect(program.stdout).toBe('a line of the program\n');
    const events = eventsIn(program.output.replace(program.stdout, ''));
    expect(find(events, 'ready')).toMatchObject({ kind: 'exec', app: file, kernelPorts: '' });
    expect(find(events, 'hang')).toMatchObject({ level: 'error', thread: 'main', state: 'system-call', ends: false });
    expect(namesOf(events)).toContain('hang-over');
    expect(find(events, 'link')).toMatchObject({ level: 'warning', state: 'down' });
  });

  it('says which core has failed', LIMIT, async () => {
    await startSwitch();
    const app = join(directory, 'fails.mjs');
    writeFileSync(
      app,
      `export default (core) => ({ poll() { if (core.index === 1) throw new Error('my bug'); return 0; }, maxSleepMs: () => 50 });`,
    );
    const run = start('run', ...on(1), ...withCores('1kb', 2), '--app', app);
    await run.waitFor(/"event":"core-failure"/);
    const failure = find(eventsIn(run.output), 'core-failure');
    expect(failure).toMatchObject({ level: 'error', core: 1, reason: expect.stringContaining('my bug') });
  });
});

describe('an error at the end of a command', () => {
  it.each([
    ['a wrong option', 2, ['run', ...on(7), '--nonsense'], /unknown option '--nonsense'/],
    ['a wrong value before --log', 2, ['exec', '--mtu', 'x', '--log=json'], /--mtu/],
    ['a wrong configuration', 2, ['run', '--device', 'x', '--ip', '10.0.0.1/24', '--log', 'json'], /^device: 'x'/],
    ['no script', 2, ['switch', '--log', 'json'], /^a \.bess script is missing/],
    ['a script that is not there', 1, ['switch', 'none.bess', '--log', 'json'], /none\.bess/],
    ['no backend', 1, ['run', ...on(7)], /there is no such socket/],
  ])('is an event: %s', LIMIT, async (_, exitCode, args, message) => {
    const child = start(...args);
    expect((await child.exited).code).toBe(exitCode);
    expect(child.stdout).toBe('');
    const events = eventsIn(child.output);
    expect(events).toEqual([expect.objectContaining({ event: 'error', level: 'error', exitCode })]);
    expect(events[0]!.message).toMatch(message);
  });
});
