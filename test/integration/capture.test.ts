/** `tspmd capture`: what it captures of a running process, beside what tcpdump sees at the other end. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';
import { ALL_MODES, MODES } from '../support/threads/modes.js';

const LIMIT = { timeout: 90_000 };
const NAME = 'captured';
const TSPMD = Child.commandLine();
const OUR_MAC = '52:54:00:00:00:01';

interface Frame {
  readonly time: number;
  readonly length: number;
  readonly kept: number;
  readonly direction: string;
  readonly interface: string;
  readonly comment: string;
  readonly source: string;
  readonly protocols: string;
}

describeWith('tspmd capture', [...TCP_PEERS, ...['curl', 'ping', 'capinfos'].map(command)], () => {
  let lab: KernelLab;
  let directory: ReturnType<typeof temporaryDirectory>;
  const children: Child[] = [];
  const runtimeDirectory = process.env.XDG_RUNTIME_DIR;

  beforeAll(async () => {
    directory = temporaryDirectory();
    process.env.XDG_RUNTIME_DIR = directory.path;
    lab = await KernelLab.start();
    // Frames as a wire has them, so that both ends see the same.
    await lab.endOffloads();
  });

  afterEach(async () => {
    for (const child of children.splice(0).reverse()) {
      // One that a test has stopped takes no other signal.
      child.signal('SIGCONT');
      await child.stop();
    }
  });

  afterAll(async () => {
    await lab.close();
    if (runtimeDirectory === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = runtimeDirectory;
    directory.remove();
  });

  async function endpoint(...args: string[]): Promise<Child> {
    const child = await lab.endpoint('--app', 'http', '--offloads', 'off', '--name', NAME, ...args);
    children.push(child);
    return child;
  }

  /** Starts a capture of the endpoint; resolves when it has begun. */
  async function capture(file: string, args: readonly string[] = [], name = NAME): Promise<Child> {
    const child = lab.start(...TSPMD, 'capture', name, '--output', file, ...args);
    children.push(child);
    await child.waitFor(/capturing packets of/);
    return child;
  }

  /** As {@link capture}, as soon as there is room for another one. */
  async function begunAgain(file: string): Promise<Child> {
    for (let tries = 0; tries < 100; tries++) {
      const child = lab.start(...TSPMD, 'capture', NAME, '--count', '1', '--output', file);
      children.push(child);
      const begun = child.waitFor(/capturing packets of/).then(() => true);
      if (await Promise.race([begun.catch(() => false), child.exited.then(() => false)])) return child;
    }
    throw new Error('there is no room for another capture');
  }

  /** Ends a capture as Ctrl-C does, and returns what it says at the end. */
  async function ended(child: Child): Promise<string> {
    child.signal('SIGINT');
    expect((await child.exited).code, child.output).toBe(0);
    return child.output.trim().split('\n').at(-1)!;
  }

  /** Downloads something; returns how many bytes came. */
  async function get(path: string): Promise<number> {
    const url = `http://${OURS}${path}`;
    const { code, stdout, output } = await lab.run(
      20,
      'curl',
      '-sS',
      '--max-time',
      '15',
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      url,
    );
    expect(code, output).toBe(0);
    return Number(stdout);
  }

  function tshark(file: string, ...fields: string[]): string[][] {
    const options = fields.flatMap((field) => ['-e', field]);
    const { status, stdout, stderr } = spawnSync('tshark', ['-n', '-r', file, '-T', 'fields', ...options], {
      ...{ encoding: 'utf8', timeout: 30_000, maxBuffer: 1 << 28 },
    });
    expect(status, stderr).toBe(0);
    expect(stderr.replace(/^Running as user.*\n/m, '')).toBe('');
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
  }

  function frames(file: string): Frame[] {
    const fields = ['time_epoch', 'len', 'cap_len', 'packet_flags_direction', 'interface_name', 'comment'];
    return tshark(file, ...fields.map((name) => `frame.${name}`), 'eth.src', 'frame.protocols').map(
      ([time, length, kept, direction, where, comment, source, protocols]) => ({
        ...{ time: Number(time), length: Number(length), kept: Number(kept) },
        ...{ direction: Number(direction) === 1 ? 'in' : Number(direction) === 2 ? 'out' : '' },
        ...{ interface: where!, comment: comment!, source: source!, protocols: protocols! },
      }),
    );
  }

  /**
   * The bytes of all IP packets, in an order that does not depend on times. Without ARP, because an endpoint announces its
   * address for some seconds.
   */
  function contents(file: string): string[] {
    const { status, stdout, stderr } = spawnSync(
      'tshark',
      ['-n', '-r', file, '-Y', 'ip', '-T', 'json', '-x', '-j', 'frame'],
      {
        ...{ encoding: 'utf8', timeout: 30_000, maxBuffer: 1 << 28 },
      },
    );
    expect(status, stderr).toBe(0);
    const packets = JSON.parse(stdout) as { _source: { layers: { frame_raw: [string] } } }[];
    return packets.map(({ _source }) => _source.layers.frame_raw[0]).sort();
  }

  it.each(ALL_MODES)('with %s, holds what tcpdump on the other side sees', LIMIT, async (mode) => {
    await endpoint(...MODES[mode]);
    // Otherwise the last frames wait in tcpdump's buffer.
    const others = await lab.capture(`tcpdump-${mode}`, '--immediate-mode');
    const file = lab.file(`ours-${mode}.pcapng`);
    const child = await capture(file);
    expect(await get('/bytes/300000')).toBe(300_000);
    expect((await lab.run(10, 'ping', '-c', '3', '-i', '0.2', OURS)).code).toBe(0);
    const pcap = await others.end();
    expect(await ended(child)).toMatch(/^tspmd: captured \d+ packets$/);
    const ours = frames(file);
    expect(contents(file)).toEqual(contents(pcap));
    expect(ours.length).toBeGreaterThan(200);
    for (const { direction, source, interface: name, comment, length, kept } of ours) {
      expect(direction).toBe(source === OUR_MAC ? 'out' : 'in');
      expect(name).toBe(`vhost-user:${lab.file('vm.sock')}`);
      expect(comment).toBe('');
      expect(kept).toBe(length);
    }
    const times = ours.map(({ time }) => time);
    expect(times).toEqual([...times].sort((one, other) => one - other));
    expect(Math.abs(times[0]! * 1000 - Date.now())).toBeLessThan(LIMIT.timeout);
  });

  it('sees both ports of a switch, or one of them', LIMIT, async () => {
    await endpoint();
    const [both, one] = [lab.file('both.pcapng'), lab.file('one.pcapng')];
    const whole = await capture(both, [], 'kernel');
    const ofKernel = await capture(one, ['--port', 'kernel', '--direction', 'in'], 'kernel');
    await get('/bytes/50000');
    await ended(ofKernel);
    await ended(whole);
    const all = frames(both);
    const at = (name: string, direction: string): Frame[] =>
      all.filter((frame) => frame.interface === name && frame.direction === direction);
    const key = ({ length, source }: Frame): string => `${length} ${source}`;
    for (const [from, to] of [['kernel', 'vm'] as const, ['vm', 'kernel'] as const]) {
      expect(at(from, 'in').length).toBeGreaterThan(3);
      expect(at(from, 'in').map(key)).toEqual(at(to, 'out').map(key));
    }
    // It began later, and ended earlier.
    const ofOne = frames(one).map(key);
    expect(ofOne.length).toBeGreaterThan(3);
    expect(at('kernel', 'in').map(key).join('\n')).toContain(ofOne.join('\n'));
    const { code, output } = await lab.run(10, ...TSPMD, 'capture', 'kernel', '--port', 'vm3', '--output', one);
    expect(code).toBe(1);
    expect(output).toMatch(/^tspmd: switch \d+ says: port: this switch has no port 'vm3'; it has vm, kernel\n$/);
  });

  it('captures what is dropped, with the reason', LIMIT, async () => {
    await endpoint();
    const [ours, bess] = [lab.file('drops.pcapng'), lab.file('switch-drops.pcapng')];
    const child = await capture(ours, ['--drops']);
    // A packet for another host, with our MAC address.
    lab.namespace.ip('neigh', 'replace', '10.0.0.77', 'lladdr', OUR_MAC, 'dev', 'tap0');
    await lab.run(10, 'ping', '-c', '2', '-i', '0.2', '-W', '1', '10.0.0.77');
    await get('/');
    expect(await ended(child)).toBe('tspmd: captured 2 packets');
    const dropped = frames(ours);
    expect(dropped.map(({ comment }) => comment)).toEqual(
      Array.from({ length: 2 }, () => "rx_drop_other_ip: for another host's IPv4 address"),
    );
    expect(dropped.map(({ protocols, direction }) => `${direction} ${protocols}`)).toEqual(
      Array.from({ length: 2 }, () => 'in eth:ethertype:ip:icmp:data'),
    );
    const atSwitch = await capture(bess, ['--drops'], 'kernel');
    for (const end of children.splice(0, 1)) await end.stop();
    await lab.run(10, 'ping', '-c', '2', '-i', '0.2', '-W', '1', '10.0.0.77');
    await ended(atSwitch);
    const refused = frames(bess);
    expect(refused.length).toBe(2);
    for (const { comment, interface: name, direction } of refused) {
      expect(comment).toBe('out_noDriver: no peer is connected, or its ring is stopped');
      expect(`${name} ${direction}`).toBe('vm out');
    }
  });

  it('keeps to filter, direction, length and number, also in a pipe', LIMIT, async () => {
    await endpoint();
    const line = `${TSPMD.join(' ')} capture ${NAME} --filter 'tcp port 80 and src host ${OURS}' --direction out --snaplen 60 --count 4 | tshark -n -r - -T fields -e frame.len -e frame.cap_len -e ip.src -e tcp.srcport`;
    const child = lab.start('bash', '-c', line);
    children.push(child);
    await child.waitFor(/capturing packets of/);
    await lab.run(10, 'ping', '-c', '1', OURS);
    await get('/bytes/100000');
    expect((await child.exited).code).toBe(0);
    const rows = child.stdout.trim().split('\n');
    expect(rows.length).toBe(4);
    for (const row of rows) {
      const [length, kept, source, port] = row.split('\t');
      expect(Number(kept)).toBe(Math.min(Number(length), 60));
      expect(`${source} ${port}`).toBe(`${OURS} 80`);
    }
    expect(child.output).toContain('tspmd: captured 4 packets\n');
  });

  it('says what is wrong with a request, in one line', LIMIT, async () => {
    await endpoint();
    const refused = async (...args: string[]): Promise<string> => {
      const { code, output } = await lab.run(10, ...TSPMD, 'capture', NAME, '--output', lab.file('none'), ...args);
      expect(code, output).toBe(1);
      return output;
    };
    expect(await refused('--filter', 'port http')).toMatch(/^tspmd: run \d+ says: filter: .*\n$/);
    expect(await refused('--port', 'eth0')).toMatch(/^tspmd: run \d+ says: port: this process has one port, '.*\n$/);
    expect(await refused('--snaplen', '70000')).toMatch(/^tspmd: run \d+ says: snaplen: a whole number .*\n$/);
    expect(existsSync(lab.file('none'))).toBe(false);
  });

  it('loses copies when nobody reads them, and no traffic', LIMIT, async () => {
    await endpoint();
    const file = lab.file('slow.pcapng');
    const child = await capture(file);
    child.signal('SIGSTOP');
    for (let i = 0; i < 4; i++) expect(await get('/bytes/9000000')).toBe(9_000_000);
    child.signal('SIGCONT');
    const end = await ended(child);
    const [, packets, lost] = /^tspmd: captured (\d+) packets; lost (\d+), because/.exec(end) ?? [];
    expect(Number(lost), end).toBeGreaterThan(1000);
    expect(frames(file).length).toBe(Number(packets));
    const info = spawnSync('capinfos', ['-T', '-r', '-c', file], { encoding: 'utf8', timeout: 30_000 });
    expect(info.status, info.stderr).toBe(0);
  });

  it('runs at most four times, also when captures are killed', LIMIT, async () => {
    await endpoint();
    const killed = async (): Promise<void> => {
      const four = await Promise.all([1, 2, 3, 4].map((i) => capture(lab.file(`many${i}.pcapng`))));
      const { code, output } = await lab.run(10, ...TSPMD, 'capture', NAME, '--output', lab.file('fifth.pcapng'));
      expect(code).toBe(1);
      expect(output).toMatch(/^tspmd: run \d+ says: 4 captures of this process run already; end one of them\n$/);
      for (const child of four) child.signal('SIGKILL');
      await Promise.all(four.map(({ exited }) => exited));
    };
    await killed();
    // The process sees at its next look that they are gone.
    const again = await begunAgain(lab.file('again.pcapng'));
    await get('/');
    expect((await again.exited).code).toBe(0);
    expect(frames(lab.file('again.pcapng')).length).toBe(1);
  });

  it('ends with one line when the disk is full, and leaves the process alone', LIMIT, async () => {
    await endpoint();
    const child = await capture('/dev/full');
    await get('/');
    expect((await child.exited).code).toBe(1);
    expect(child.output).toMatch(
      /\ntspmd: \/dev\/full: cannot be written: ENOSPC.*; what was written until then stays\n$/,
    );
    expect(await get('/bytes/1000')).toBe(1000);
  });

  it('keeps what there is when the process ends', LIMIT, async () => {
    const process = await endpoint();
    const file = lab.file('end.pcapng');
    const child = await capture(file);
    await get('/bytes/20000');
    await process.stop();
    expect((await child.exited).code, child.output).toBe(0);
    expect(child.output).toMatch(/\ntspmd: (captured \d+ packets|run \d+ has ended; .*)\n$/);
    expect(frames(file).filter(({ direction }) => direction === 'out').length).toBeGreaterThan(3);
  });

  it('writes no capture to a terminal', LIMIT, async () => {
    await endpoint();
    const { code, output } = await lab.run(10, 'script', '-qec', [...TSPMD, 'capture', NAME].join(' '), '/dev/null');
    expect(code, output).toBe(1);
    expect(output).toContain('tspmd: a capture is no text: name a file');
  });

  it('lasts as long as it was told', LIMIT, async () => {
    await endpoint();
    const file = lab.file('short.pcapng');
    const child = await capture(file, ['--duration', '0.5']);
    expect((await child.exited).code).toBe(0);
    expect(child.output).toMatch(/captured 0 packets\n$/);
    expect(readFileSync(file).readUInt32LE(0)).toBe(0x0a0d0d0a);
    expect(frames(file)).toEqual([]);
  });
});
