/**
 * Descriptors that hang whoever touches or closes them, sent to a port of the switch and to an endpoint: others go on. Each
 * attack is known to hang, by an event, before the others are tried.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { LINGERING_SOCKET } from '../support/libc/lingering-socket.js';
import { command, describeWith } from '../support/requirements.js';
import { until } from '../support/until.js';

const SCRIPT = fileURLToPath(new URL('../../bess/forward_n.bess', import.meta.url));
const LIMIT = { timeout: 60_000 };
/** State of a TCP socket that was closed and has yet to send its data (include/net/tcp_states.h). */
const FIN_WAIT1 = '04';

/** Its message waits in the socket until the peer before it has gone; the descriptor is in no other process by then. */
const HOSTILE_FRONTEND = `${LINGERING_SOCKET}
tcp, peer = lingering()
port = tcp.getsockname()[1]
path, what = sys.argv[1:]
def connect():
    unix = socket.socket(socket.AF_UNIX)
    unix.connect(path)
    return unix
first, second = connect(), connect()
if what == 'unread': second.send(message(3, b'too long'))
null = open('/dev/null')
socket.send_fds(second, [message(3)], [null.fileno()] * (252 if what == 'many' else 0) + [tcp.fileno()])
tcp.close()
first.close()
print('port', port, flush=True)
sys.stdin.read()
`;

/** Answers GET_FEATURES with the socket, and hangs up. */
const HOSTILE_BACKEND = `${LINGERING_SOCKET}
tcp, peer = lingering()
port = tcp.getsockname()[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print('listens', flush=True)
unix = listener.accept()[0]
while struct.unpack('III', unix.recv(12, socket.MSG_WAITALL))[0] != 1: pass
reply = message(1, struct.pack('Q', 1 << 32), 5)
socket.send_fds(unix, [reply[:12]], [tcp.fileno()])
tcp.close()
unix.send(reply[12:])
unix.close()
print('port', port, flush=True)
sys.stdin.read()
`;

let directory: string;
let children: Child[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tspmd-hostile-'));
  children = [];
});

afterEach(async () => {
  await Promise.allSettled(children.map((child) => child.stop()));
  rmSync(directory, { recursive: true, force: true });
});

const socket = (i: number): string => join(directory, `vhost${i}.sock`);

function start(child: Child): Child {
  children.push(child);
  return child;
}

function endpoint(verb: string, i: number, ...more: string[]): Child {
  const device = ['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`];
  return start(Child.tspmd(verb, ...device, ...more));
}

/** The switch, and an endpoint that answers pings on port 2. Port 3 is the attacker's. */
async function startSwitch(): Promise<Child> {
  const bess = start(Child.tspmd('switch', SCRIPT, 'NPORTS=3', `DIR=${directory}`));
  await bess.waitFor(/^ready: 3 ports/m);
  await endpoint('run', 2).waitFor(/^ready/m);
  return bess;
}

/** Waits for the end of a process that is to end by itself. */
const end = (child: Child): Promise<void> => until('the end of a process', () => !child.isRunning);

async function expectPings(): Promise<void> {
  const child = endpoint('ping', 1, '--to', '10.0.0.2', '--count', '10', '--interval', '0.01');
  await child.waitFor(/10 packets transmitted, 10 received/);
  await end(child);
  expect((await child.exited).code, child.output).toBe(0);
}

/** Waits until the last holder of a TCP socket is closing it. */
async function untilClosing(attacker: Child): Promise<void> {
  const [, port] = await attacker.waitFor(/^port (\d+)/m);
  const local = `0100007F:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`;
  const state = (): string | undefined =>
    readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .find(([, address]) => address === local)?.[3];
  await until('the close of the TCP socket', () => state() === FIN_WAIT1);
}

describeWith('a TCP socket with SO_LINGER and data that nobody reads', [command('python3')], () => {
  it.each([
    ['with a message', 'alone'],
    ['behind 252 others', 'many'],
    ['with a message that is never read', 'unread'],
  ])('does not stop the switch: %s', LIMIT, async (_, what) => {
    const bess = await startSwitch();
    const attacker = start(Child.spawn('python3', ['-c', HOSTILE_FRONTEND, socket(3), what]));
    await untilClosing(attacker);
    await expectPings();
    expect((await bess.stop()).code, bess.output).toBe(0);
    expect(attacker.isRunning).toBe(true);
  });

  it('does not stop an endpoint whose backend sends it', LIMIT, async () => {
    const attacker = start(Child.spawn('python3', ['-c', HOSTILE_BACKEND, socket(1)]));
    await attacker.waitFor(/^listens/m);
    const victim = endpoint('run', 1);
    await untilClosing(attacker);
    await victim.waitFor(/^tspmd: .*the backend/m);
    await end(victim);
    expect(attacker.isRunning).toBe(true);
  });
});
