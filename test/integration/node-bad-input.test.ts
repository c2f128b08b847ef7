/** A program under `tspmd exec` with bad clients, too many sockets, a thread that is blocked and a device that is gone. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { patternBytes } from '../support/peers/bytes.js';
import { KERNELS, KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { startNodeServer } from '../support/peers/kernel-servers.js';
import { command, describeWith } from '../support/requirements.js';

const PROGRAM = fileURLToPath(new URL('../../dist/test/support/programs/bad-input.main.js', import.meta.url));
const SERVER = `http://${OURS}`;
const LIMIT = { timeout: 60_000 };
/** For what must happen, on a busy machine. */
const PATIENCE = { timeout: 20_000, interval: 200 };
const UPLOADS = 10;
/** Nobody has this address. */
const NOBODY = '10.0.0.77';
/** The default of the stack. */
const MAX_CONNECTIONS = 16_384;

interface State {
  readonly http: number;
  readonly echo: number;
  readonly aborted: number;
  readonly tcp_connections: number;
  readonly tcp_memory: number;
}

describeWith('a program under tspmd exec', [...TCP_PEERS, ...['curl', 'nc.openbsd'].map(command)], () => {
  let lab: KernelLab;
  let program: Child;

  beforeAll(async () => {
    lab = await KernelLab.start();
    writeFileSync(lab.file('upload'), patternBytes(0, 1_000_000));
    program = await lab.program(/^listening$/m, [PROGRAM]);
  });

  afterAll(async () => {
    await program?.stop();
    await lab?.close();
  });

  async function get(path: string, seconds = 30): Promise<string> {
    const { code, stdout, output } = await lab.run(seconds, 'curl', '-sS', '--fail', `${SERVER}${path}`);
    expect(code, output).toBe(0);
    return stdout;
  }
  const state = async (): Promise<State> => JSON.parse(await get('/state')) as State;
  /** Only the connection that asks is left. */
  const expectNothingLeft = (): Promise<void> =>
    expect.poll(state, PATIENCE).toMatchObject({ http: 1, echo: 0, tcp_connections: 1, tcp_memory: 0 });

  it('answers 408 to a client that sends its header too slowly', async () => {
    const slow = `(printf 'GET / HTTP/1.1\\r\\n'; for i in {1..100}; do printf 'X-%d: a\\r\\n' $i; sleep 0.2; done)`;
    const { output } = await lab.shell(20, `${slow} | nc.openbsd -N ${OURS} 81 || true`);
    expect(output).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    await expectNothingLeft();
  });

  it('forgets uploads whose clients were killed', async () => {
    const before = await state();
    const uploads = Array.from({ length: UPLOADS }, () =>
      lab.start('curl', '-sS', '--limit-rate', '500k', '-T', '/dev/zero', `${SERVER}/upload`),
    );
    await expect.poll(async () => (await state()).http, PATIENCE).toBe(UPLOADS + 1);
    for (const upload of uploads) await upload.stop('SIGKILL');
    await expectNothingLeft();
    expect((await state()).aborted - before.aborted).toBe(UPLOADS);
  });

  it('opens 2,000 sockets at once, and closes them', LIMIT, async () => {
    await startNodeServer(lab, 9000);
    const counts = JSON.parse(await get(`/sockets?count=2000&address=${KERNELS}&port=9000&ms=40000`, 50)) as object;
    expect(counts).toEqual({ connected: 2000 });
    await expectNothingLeft();
  });

  it('learns by ENOBUFS that there are too many sockets', LIMIT, async () => {
    const before = await state();
    const counts = JSON.parse(await get(`/sockets?count=20000&address=${NOBODY}&port=9000&ms=1000`, 50)) as object;
    // One connection is that of the question.
    const most = MAX_CONNECTIONS - before.tcp_connections;
    expect(counts).toEqual({ waits: most, 'connect ENOBUFS': 20_000 - most });
    await expectNothingLeft();
  });

  it('answers all that came while its thread was blocked', LIMIT, async () => {
    const blocked = get('/block?ms=3000');
    const others = Array.from({ length: 30 }, () => get('/'));
    expect(await blocked).toBe('blocked\n');
    expect(await Promise.all(others)).toEqual(Array(30).fill('hello\n'));
    // One of the two watchdogs sees it first.
    await program.waitFor(
      /did not poll for [\d.]+ s: its thread was blocked|the main thread has been busy for a second/,
    );
    await expectNothingLeft();
  });

  it('resets its connections when the switch is gone, and serves at the next one', LIMIT, async () => {
    const client = lab.start('nc.openbsd', OURS, '7');
    client.write('before\n');
    await client.waitFor(/^before$/m);
    await lab.stopSwitch();
    await program.waitFor(/^echo: read ECONNRESET$/m);
    await lab.startSwitch();
    await expect.poll(() => get('/'), PATIENCE).toBe('hello\n');
    client.write('after\n');
    await client.exited;
    expect(client.output).toBe('before\n');
    await expectNothingLeft();
  });
});
