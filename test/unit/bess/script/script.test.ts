import { existsSync, linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Switch } from '../../../../bess/switch.js';
import { type FakePortDevice, frame } from '../../../support/bess/fake-port.js';
import { loadWithFakes } from '../../../support/bess/load-script.js';

const FORWARD_SCRIPT = fileURLToPath(new URL('../../../../bess/forward_script.bess', import.meta.url));
const FORWARD_N = fileURLToPath(new URL('../../../../bess/forward_n.bess', import.meta.url));

let directory: string;
let devices: FakePortDevice[];
let sharedClosed: boolean;
let lines: string[];
let loaded: Switch | null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'script-'));
  devices = [];
  sharedClosed = false;
  lines = [];
  loaded = null;
});

afterEach(async () => {
  await loaded?.stop();
  rmSync(directory, { recursive: true });
});

async function load(file: string, variables: Record<string, string> = {}): Promise<Switch> {
  const { bess } = await loadWithFakes(file, variables, {
    opened: (device) => devices.push(device),
    closed: () => {
      sharedClosed = true;
    },
    print: (line) => lines.push(line),
    log: (line) => lines.push(`log: ${line}`),
  });
  loaded = bess;
  return bess;
}

/** Runs a script given as text; two ports are there already. */
async function script(text: string): Promise<Switch> {
  const file = join(directory, 'test.bess');
  const ports = ['a', 'b'].map((name, i) => `${name} = PMDPort(name='${name}', vdev='eth_vhost${i},iface=${name}.s')`);
  writeFileSync(file, `${ports.join('\n')}\n${text}\n`);
  return load(file);
}

async function errorOf(text: string): Promise<string> {
  try {
    await script(text);
  } catch (error) {
    return (error as Error).message.replace(join(directory, 'test.bess'), 'FILE');
  }
  throw new Error('the script ran');
}

/** What is connected, as a script writes it. */
function wiring(bess: Switch): string[] {
  return bess.graph.all.flatMap((module) =>
    module.gates.flatMap((gate) =>
      gate ? [`${module.name}:${gate.gate} -> ${gate.inputGate}:${gate.next.name}`] : [],
    ),
  );
}

describe('forward_script.bess', () => {
  const sockets = () => ({ VM1_SOCKET: join(directory, '1.sock'), VM2_SOCKET: join(directory, '2.sock') });

  it('makes two ports and joins them by MAC address, broadcasts by Replicate', async () => {
    const bess = await load(FORWARD_SCRIPT, sockets());
    expect(bess.ports.all.map(({ name }) => name)).toEqual(['vm1', 'vm2']);
    expect(wiring(bess).sort()).toEqual(
      [
        'vm1_in:0 -> 0:fwd',
        'vm2_in:0 -> 0:fwd',
        'fwd:0 -> 0:vm1_out',
        'fwd:1 -> 0:vm2_out',
        'fwd:2 -> 0:flood',
        'flood:0 -> 0:vm1_out',
        'flood:1 -> 0:vm2_out',
      ].sort(),
    );
    devices[0]?.queue.offer(frame('52:54:00:00:00:02', 1), frame('ff:ff:ff:ff:ff:ff', 2));
    devices[1]?.queue.offer(frame('52:54:00:00:00:01', 3));
    for (const task of bess.graph.tasks) task.run();
    expect(devices.map(({ queue }) => queue.tags)).toEqual([
      [2, 3],
      [1, 2],
    ]);
  });

  it('takes the addresses that it is told', async () => {
    const bess = await load(FORWARD_SCRIPT, { ...sockets(), VM2_MAC: '02:00:00:00:00:99' });
    devices[0]?.queue.offer(frame('02:00:00:00:00:99', 1));
    for (const task of bess.graph.tasks) task.run();
    expect(devices[1]?.queue.tags).toEqual([1]);
  });

  it('removes the sockets that a killed switch has left', async () => {
    const variables = sockets();
    writeFileSync(variables.VM1_SOCKET, '');
    await load(FORWARD_SCRIPT, variables);
    expect(existsSync(variables.VM1_SOCKET)).toBe(false);
  });
});

describe('os.unlink of a socket', () => {
  const listen = async (path: string): Promise<Server> => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return server;
  };

  it('is refused while a process listens on it, and the process notices nothing', async () => {
    const variables = { VM1_SOCKET: join(directory, '1.sock'), VM2_SOCKET: join(directory, '2.sock') };
    const server = await listen(variables.VM2_SOCKET);
    let connections = 0;
    server.on('connection', () => connections++);
    await expect(load(FORWARD_SCRIPT, variables)).rejects.toThrow(
      /forward_script\.bess:21:\d+: OSError: the socket \S+2\.sock is in use by this process: stop .* \(EBUSY\)$/,
    );
    expect(existsSync(variables.VM2_SOCKET)).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(connections).toBe(0);
    await new Promise((resolve) => server.close(resolve));
  });

  it('finds the listener by another name of the folder; a port names it, too', async () => {
    const server = await listen(join(directory, '1.sock'));
    symlinkSync(directory, join(directory, 'other'));
    const path = join(directory, 'other', '1.sock');
    expect(await errorOf(`import os\nif True:\n    os.remove('${path}')`)).toMatch(
      /^FILE:5:5: OSError: the socket \S+other\/1\.sock is in use by this process: .* \(EBUSY\)$/,
    );
    expect(await errorOf(`PMDPort(vdev='eth_vhost2,iface=${path}')`)).toMatch(
      /is in use by this process: .* \(EPERM\)$/,
    );
    await new Promise((resolve) => server.close(resolve));
  });

  it('removes one that nobody listens on', async () => {
    const [kept, path] = [join(directory, 'kept'), join(directory, '1.sock')];
    const server = await listen(kept);
    linkSync(kept, path);
    await new Promise((resolve) => server.close(resolve));
    await script(`import os\nos.unlink('${path}')\nprint(os.path.exists('${path}'))`);
    expect(lines).toEqual(['False']);
  });
});

describe('forward_n.bess', () => {
  it.each([1, 3, 32])('joins %i VMs', async (count) => {
    const bess = await load(FORWARD_N, { NPORTS: String(count), DIR: directory });
    expect(bess.ports.all.length).toBe(count);
    expect(bess.ports.all.at(-1)?.description).toBe(`vhost-user ${join(directory, `vhost${count}.sock`)}`);
    const last = `52:54:00:00:00:${count.toString(16).padStart(2, '0')}`;
    devices[0]?.queue.offer(frame(last, 1), frame('ff:ff:ff:ff:ff:ff', 2));
    for (const task of bess.graph.tasks) task.run();
    expect(devices.at(-1)?.queue.tags).toEqual([1, 2]);
    expect(devices.every(({ queue }) => queue.tags.includes(2))).toBe(true);
  });

  it('returns no broadcast to its sender with RETURN=0', async () => {
    const bess = await load(FORWARD_N, { NPORTS: '3', DIR: directory, RETURN: '0' });
    const broadcast = 'ff:ff:ff:ff:ff:ff';
    for (const [i, { queue }] of devices.entries()) queue.offer(frame(broadcast, i));
    devices[2]?.queue.offer(frame('52:54:00:00:00:01', 9));
    for (const task of bess.graph.tasks) task.run();
    expect(devices.map(({ queue }) => queue.tags)).toEqual([
      [1, 2, 9],
      [0, 2],
      [0, 1],
    ]);
  });

  it.each(['0', '33'])('refuses %s VMs', async (count) => {
    await expect(load(FORWARD_N, { NPORTS: count, DIR: directory })).rejects.toThrow('NPORTS must be 1 to 32');
  });
});

describe('scripts', () => {
  it('name modules as BESS does, and take ports as objects or names', async () => {
    const bess = await script(`
PortInc(port=a) -> Sink()
x::QueueInc(port='b') -> merge::Merge() -> s2::Sink()
y = QueueOut(name='y', port=b.name, qid=0)
Source(pkt_size=100) -> 3:merge
print(x, y, a, x.name, x.mclass)
`);
    expect(bess.graph.all.map(({ name }) => name)).toEqual(['port_inc0', 'sink0', 'x', 'merge', 's2', 'y', 'source0']);
    expect(wiring(bess)).toContain('source0:0 -> 3:merge');
    expect(lines).toEqual(['x::QueueInc y::QueueOut a/PMDPort x QueueInc']);
  });

  it('call the commands of modules', async () => {
    const bess = await script(`
fwd::L2Forward(size=16, bucket=2)
fwd.add(entries=[{'addr': '00:00:00:00:00:0%d' % i, 'gate': i} for i in range(3)])
fwd.delete(addrs=['00:00:00:00:00:01'])
fwd.populate(base='02:00:00:00:00:00', count=4, gate_count=2)
fwd.set_default_gate(gate=5)
print(fwd.lookup(addrs=['00:00:00:00:00:02', '02:00:00:00:00:03']).gates)
r::Replicate(gates=[0, 1])
r.set_gates(gates=range(3))
i::PortInc(port=a, prefetch=True)
i.set_burst(burst=8)
s::Source()
s.set_burst(burst=1)
s.set_pkt_size(pkt_size=64)
`);
    expect(lines).toEqual(['[2, 1]']);
    expect(bess.graph.get('fwd').describe()).toBe('6 addresses');
    expect(bess.graph.get('r').describe()).toBe('3 gates');
  });

  it('may use the bess object as far as it goes', async () => {
    const bess = await script(`
bess.pause_all()
bess.add_worker(wid=0, core=0)
i::PortInc(port=a)
o::PortOut(port=b)
s::Sink()
bess.connect_modules('i', 'o')
bess.disconnect_modules('i')
bess.connect_modules(i.name, s.name, ogate=0, igate=0)
i.attach_task(wid=0)
bess.attach_task('i', wid=0)
bess.resume_all()
`);
    expect(wiring(bess)).toEqual(['i:0 -> 0:s']);
  });

  it.each([
    ["QueueInc(port='c')", 'FILE:3:1: Port c not found (ENODEV)'],
    ['QueueInc()', "FILE:3:1: Field 'port' must be specified (EINVAL)"],
    ['PortInc()', "FILE:3:1: 'port' must be given as a string (EINVAL)"],
    ['QueueInc(port=a, qid=1)', 'Invalid queue 1: port a has 1 incoming queue(s)'],
    ["QueueInc(port=a, qid='0')", "QueueInc(): 'qid' must be an integer, not the string '0' (EINVAL)"],
    ['QueueInc(port=a, qid=-1)', "QueueInc(): 'qid' must be 0 or more, not -1 (EINVAL)"],
    [
      'QueueInc(port=a, queue=0)',
      "QueueInc(): there is no argument 'queue'; known are name, port, prefetch, qid (EINVAL)",
    ],
    ['QueueInc(a)', 'QueueInc(): takes arguments by name only; 1 were given (EINVAL)'],
    ['x::PortInc(port=a)\ny::QueueInc(port=a)', 'belongs to module x already (EBUSY)'],
    ["x::Sink()\nSink(name='x')", 'FILE:4:1: Module x exists (EEXIST)'],
    ['Replicate(gates=3)', "Replicate(): 'gates' must be a list, not 3 (EINVAL)"],
    ['Replicate(gates=list(range(33)))', 'no more than 32 gates (EINVAL)'],
    ['L2Forward(size=3)', "initialization failed with argument size: '3' bucket: '4'"],
    ["f::L2Forward()\nf.add(entries=[{'addr': 'x', 'gate': 0}])", 'FILE:4:1: x is not a proper mac address (EINVAL)'],
    ["f::L2Forward()\nf.add(entries=[{'mac': 'x'}])", "an entry has 'addr' and 'gate', and no 'mac' (EINVAL)"],
    ["f::L2Forward()\nf.add(entries=[{'addr': '00:00:00:00:00:01', 'gate': '1'}])", 'must be an integer (EINVAL)'],
    ["f::L2Forward()\nf.add(entries=['x'])", "must be a list of dictionaries, not the string 'x' (EINVAL)"],
    ['m::Merge()\nm:1 -> Sink()', 'has the output gate 0 only (EINVAL)'],
    ['a -> Sink()', 'a PMDPort is not a module: connect its PortInc and PortOut (EINVAL)'],
    ['m::Merge()\nn::Merge()\nm -> n -> 1:m', 'the modules m -> n -> m form a loop, which a packet would never leave'],
    ["PMDPort(vdev='eth_vhost0,iface=c.s')", 'port a has this number; choose another one (EEXIST)'],
    ["PMDPort(vdev='eth_vhost2,iface=./b.s')", 'port b is on ./b.s already (EEXIST)'],
    ["PMDPort(pci='00:04.0')", 'Cannot attach PCI device 00:04.0: this switch has no NICs of its own'],
    ["PMDPort(vdev='eth_vhost2,iface=c.s', loopback=True)", 'a vdev has no loopback (ENOTSUP)'],
    ["PMDPort(vdev='eth_vhost2,iface=c.s', num_inc_q=129)", 'Invalid number of queues: 129'],
    ['bess.add_worker(0, 99999)', 'Invalid core 99999: this machine has no such core (EINVAL)'],
    ['bess.add_worker(0, 0)\nbess.add_worker(0, 0)', 'FILE:4:1: worker:0 is already active (EEXIST)'],
    ['bess.add_worker(0, 0)\nbess.add_worker(1, 0)', 'this switch runs one worker'],
    ['bess.add_worker(1, 0)', 'this switch runs one worker, with the number 0 (EINVAL)'],
    ["bess.add_tc('x', policy='round_robin', wid=0)", 'this switch has no traffic classes'],
    ["i::PortInc(port=a)\ni.attach_task(parent='x')", "Parent TC 'x' not found"],
    ['i::PortInc(port=a)\ni.attach_task(wid=1)', 'worker:1 does not exist'],
    ['s::Sink()\ns.attach_task(wid=0)', 'module s (Sink) has no task 0; it has none (ENOENT)'],
    ["bess.connect_modules('x', 'y')", "No module 'x' found (ENOENT)"],
    ['s::Sink()\ns.add(entries=[])', "'Sink' has no attribute 'add'; it has: attach_task, connect, mclass, name"],
    ['bess.reset_all()', "'BESS' has no attribute 'reset_all'; it has: add_tc, add_worker, attach_task, "],
    ['i::PortInc(port=a)\ni -> Sink()\ni.connect(Sink())', 'FILE:5:1: Connection i:0->0:sink1 failed'],
  ])('%j is an error in one line', async (text, expected) => {
    const message = await errorOf(text);
    expect(message).toContain(expected);
    expect(message).not.toContain('\n');
    // Nothing of a failed script is left.
    expect(devices.every(({ closed }) => closed)).toBe(true);
    expect(sharedClosed).toBe(true);
  });

  it('that are not there are an error in one line', async () => {
    const file = join(directory, 'none.bess');
    await expect(load(file)).rejects.toThrow(`cannot read the script ${file}: there is no such file`);
    await expect(load('forward_scrip.bess')).rejects.toThrow(
      'forward_scrip.bess: there is no such file here, nor among those that come with tspmd: forward_n.bess, ' +
        'forward_script.bess, kernel.bess, two_hosts.bess; perhaps you mean forward_script.bess',
    );
    await expect(load(directory)).rejects.toMatchObject({ code: 'ERR_TSPMD_SCRIPT', line: null });
  });

  it('that come with tspmd are found by name, unless there is a file of that name here', async () => {
    const bess = await load('kernel.bess', { VM_SOCKET: join(directory, 'vm.sock') });
    expect(wiring(bess)).toEqual(['vm_in:0 -> 0:kernel_out', 'kernel_in:0 -> 0:vm_out']);
    await bess.stop();
    const before = process.cwd();
    process.chdir(directory);
    try {
      writeFileSync('kernel.bess', 'x::Sink()');
      expect((await load('kernel.bess')).graph.all.map(({ name }) => name)).toEqual(['x']);
    } finally {
      process.chdir(before);
    }
  });

  it.each([
    [
      'x = L2Foward()',
      "FILE:3:5: NameError: name 'L2Foward' is not defined; perhaps you mean L2Forward; this switch has PortInc, ",
    ],
    [
      'x::Replicat(gates=[0])',
      'FILE:3:1: ConfError: there is no module class Replicat; perhaps you mean Replicate; this switch has ',
    ],
    ['IPChecksum() -> Sink()', "NameError: name 'IPChecksum' is not defined; this switch has PortInc, PortOut, "],
    ['x = VM1_SOKET', "FILE:3:5: NameError: name 'VM1_SOKET' is not defined"],
  ])('%j is told which classes there are', async (text, expected) => {
    const message = await errorOf(text);
    expect(message).toContain(expected);
    if (text.includes('SOKET')) expect(message).not.toContain('this switch has');
  });

  it('log which variables were given and not read, and which they read', async () => {
    const file = join(directory, 'variables.bess');
    writeFileSync(file, "import os\na = $NPORTS!'2'\nb = os.getenv('DIR', '')\n");
    await load(file, { NPORT: '4', DIR: '/x', OTHER: '1' });
    expect(lines.slice(1)).toEqual([
      'log: the script did not read the variable NPORT, perhaps you mean NPORTS; it reads DIR, NPORTS',
      'log: the script did not read the variable OTHER; it reads DIR, NPORTS',
    ]);
    lines.length = 0;
    writeFileSync(file, '');
    await load(file, { NPORT: '4' });
    expect(lines).toEqual(['log: the script did not read the variable NPORT; it reads no variables']);
  });

  it('log what is ignored', async () => {
    await script("PMDPort(vdev='eth_vhost2,iface=c.s,ext-buffer=1', vlan_offload_rx_strip=True)");
    expect(lines).toEqual([
      "log: PMDPort(): 'vlan_offload_rx_strip' is ignored by this switch",
      "log: vdev eth_vhost2: 'ext-buffer=1' is ignored by this switch",
    ]);
  });
});
