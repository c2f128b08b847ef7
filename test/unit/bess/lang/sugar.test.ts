/**
 * BESS's sugar: what modules and connections come of it. The expectations are those of BESS's own sugar.py and
 * pybess/module.py for the same text, each module written down instead of made.
 */
import { describe, expect, it } from 'vitest';
import { runScript } from '../../../../bess/lang/index.js';
import { errorOf, loggedBy, printedBy, RecordingHost } from '../../../support/bess/lang-host.js';

/** What was connected, without the creations. */
function connectionsOf(source: string): string[] {
  return loggedBy(source).filter((line) => line.includes('->'));
}

describe('arrows', () => {
  it.each([
    ['a -> b', ['a:0 -> 0:b']],
    ['a:1 -> b', ['a:1 -> 0:b']],
    ['a -> 2:b', ['a:0 -> 2:b']],
    ['a:1->2:b', ['a:1 -> 2:b']],
    ['a -> b:1 -> c', ['a:0 -> 0:b', 'b:1 -> 0:c']],
    ['a:1 -> 2:b:3 -> 4:c', ['a:1 -> 2:b', 'b:3 -> 4:c']],
    ['a -> 2:b -> c', ['a:0 -> 2:b', 'b:0 -> 0:c']],
    ['a:i+1 -> i*2:b', ['a:3 -> 4:b']],
    ['a:(i) -> (1+i*2):b', ['a:2 -> 5:b']],
    ['a:x[1] -> x[1]:b', ['a:5 -> 5:b']],
    ['a:{1:2}[1] -> {1:3}[1]:b', ['a:2 -> 3:b']],
    ['a:len(l) -> l[-1]', ['a:2 -> 0:b']],
    ['l[0]:i -> l[1]', ['a:2 -> 0:b']],
    ['a:True -> b', ['a:1 -> 0:b']],
    ['a:2\\\n -> b', ['a:2 -> 0:b']],
    ['a -> \\\n2:b', ['a:0 -> 2:b']],
    ['(a\n -> b\n -> 1:c)', ['a:0 -> 0:b', 'b:0 -> 1:c']],
    ['r = a -> b\nr -> c', ['a:0 -> 0:b', 'b:0 -> 0:c']],
    ['(a if i else b) -> c', ['a:0 -> 0:c']],
    ['for k in range(2): a:k -> b', ['a:0 -> 0:b', 'a:1 -> 0:b']],
    ['a.connect(b, 1, 2)', ['a:1 -> 2:b']],
    ['a.connect(next_mod=b, igate=3)', ['a:0 -> 3:b']],
  ])('%s', (line, expected) => {
    expect(connectionsOf(`a, b, c::M()\ni = 2; x = {1: 5}; l = [a, b]\n${line}`)).toEqual(expected);
  });

  it('lets the types decide which side of a colon is the module', () => {
    expect(connectionsOf('a, b, c::M()\np = 3\na -> p:b -> c\na -> b:p -> c')).toEqual([
      'a:0 -> 3:b',
      'b:0 -> 0:c',
      'a:0 -> 0:b',
      'b:3 -> 0:c',
    ]);
  });

  it('is not looked for in strings and comments', () => {
    expect(loggedBy(`s = 'a -> b' "c::M()" '''d:1 -> e'''  # f -> g::M()`)).toEqual([]);
  });
});

describe('modules', () => {
  it('are created, connected and bound from left to right', () => {
    const script = `
Source() -> 0:a::M(x=1):0 -> Sink()
Source() -> 1:a:1 -> Sink()`;
    expect(loggedBy(script)).toEqual([
      'm0::Source()',
      "a::M({'x': 1})",
      'm0:0 -> 0:a',
      'm1::Sink()',
      'a:0 -> 0:m1',
      'm2::Source()',
      'm2:0 -> 1:a',
      'm3::Sink()',
      'a:1 -> 0:m3',
    ]);
  });

  it('of several names are several modules', () => {
    expect(loggedBy('a,  b,\tc::M(7, size=2)\nprint(a, b, c)')).toEqual([
      "a::M(7, {'size': 2})",
      "b::M(7, {'size': 2})",
      "c::M(7, {'size': 2})",
    ]);
  });

  it('take keyword arguments from a dict, and lists of dicts with colons', () => {
    const script = `
conf = {'cycles': 1, 'bytes': 2}
wm::M(fields=[{'offset':30, 'num_bytes':4},
              {'attr_name':'in_port', 'num_bytes':2}])
M(**conf) -> wm`;
    expect(loggedBy(script)).toEqual([
      "wm::M({'fields': [{'offset': 30, 'num_bytes': 4}, {'attr_name': 'in_port', 'num_bytes': 2}]})",
      "m0::M({'cycles': 1, 'bytes': 2})",
      'm0:0 -> 0:wm',
    ]);
  });

  it('have names, and can be chained in a loop', () => {
    const script = `
first::Source()
last = first
for k in range(2):
    now = M()
    last:k -> now
    last = now
last -> Sink()
print(first)`;
    expect(loggedBy(script).filter((line) => line.includes('->'))).toEqual([
      'first:0 -> 0:m0',
      'm0:1 -> 0:m1',
      'm1:0 -> 0:m2',
    ]);
    expect(printedBy(script)).toEqual(['first::Source']);
  });

  it('may be split over lines that end in a backslash, and a blank one', () => {
    const script = `
Source() \\
    -> rewrite::M(templates=[1]) \\

if True:
    rewrite \\
      -> M(fields=[{'offset': 14, 'size': 2}]) \\
      -> hlb::M(gates=[0, 1, 2])
hlb:0 -> Sink()`;
    expect(connectionsOf(script)).toEqual(['m0:0 -> 0:rewrite', 'rewrite:0 -> 0:m1', 'm1:0 -> 0:hlb', 'hlb:0 -> 0:m2']);
  });

  it.each([
    ['a::M()\na::M()', '2:1: ConfError: the name a is taken'],
    ['a = 1\na::M()', '2:1: ConfError: the name a is taken'],
    ['a::Nope()', '1:1: ConfError: there is no module class Nope'],
    ['a::len()', '1:1: ConfError: there is no module class len'],
    ["a::M(name='b')", '1:1: TypeError: the module a is given a second name'],
  ])('%s', (script, expected) => {
    expect(errorOf(script).message).toContain(expected);
  });

  it('leaves nothing behind a name that is taken', () => {
    const host = new RecordingHost();
    expect(() => runScript('b::M()\na, b::M()', 'test.bess', host)).toThrow('the name b is taken');
    expect(host.log).toEqual(['b::M()']);
  });
});

describe('variables', () => {
  const variables = { SET: 'seven', EMPTY: '' };

  it.each([
    ['$SET', "'seven'"],
    ["$SET!'no'", "'seven'"],
    ['$EMPTY', "''"],
    ["$UNSET!'2'", "'2'"],
    ['$UNSET!"dq"', "'dq'"],
    ['$UNSET!other', "'else'"],
    ['$UNSET!(other + "x")', "'elsex'"],
    ["int($UNSET!'2') + 1", '3'],
    ["bool(int(($UNSET!'0')))", 'False'],
    ["$SET!='x'", 'True'],
    ["'$SET', f'$SET'", "('$SET', '$SET')"],
  ])('%s', (expression, expected) => {
    expect(printedBy(`other = 'else'\nprint('%r' % ((${expression}),))`, variables)).toEqual([expected]);
  });

  it('notes a default that is used', () => {
    const host = new RecordingHost();
    runScript("n = $N!'7'", 'test.bess', host);
    expect(host.notices).toEqual(['$N is not set: its default is 7']);
  });

  it('must be set when there is no default', () => {
    expect(errorOf('x = $UNSET').message).toBe('test.bess:1:5: ConfError: the variable $UNSET must be set');
  });

  it('evaluates a default that it does not need, as BESS does', () => {
    expect(errorOf('x = $SET!nope', new RecordingHost(variables)).message).toContain("name 'nope' is not defined");
  });
});

describe('a switch of several VMs', () => {
  it('is built as the script says', () => {
    const script = `
import os
N = int($NPORTS!'2')
BROADCAST = 'ff:ff:ff:ff:ff:ff'

macs = [':'.join(['%02x' % ((0x020000000001 + i >> (5 - k) * 8) & 0xff) for k in range(6)]) for i in range(N)]
ports = []
for i in range(N):
    path = f'/tmp/vm{i}.sock'
    if os.path.exists(path):
        os.unlink(path)
    ports.append(M(vdev='eth_vhost%d,iface=%s' % (i, path)))

fwd::M(size=1024)
flood::M(gates=list(range(N)))
fwd.add(entries=[{'addr': macs[i], 'gate': i} for i in range(N)] + [{'addr': BROADCAST, 'gate': N}])
fwd:N -> flood
for gate, port in enumerate(ports):
    Source(port=port.name) -> fwd
    out = Sink(port=port.name)
    fwd:gate -> out
    flood:gate -> out`;
    const host = new RecordingHost({ NPORTS: '2' }, new Set(['/tmp/vm0.sock']));
    runScript(script, 'switch.bess', host);
    expect(host.files.size).toBe(0);
    expect(host.added).toEqual([
      [
        new Map<string, unknown>([
          ['addr', '02:00:00:00:00:01'],
          ['gate', 0],
        ]),
        new Map<string, unknown>([
          ['addr', '02:00:00:00:00:02'],
          ['gate', 1],
        ]),
        new Map<string, unknown>([
          ['addr', 'ff:ff:ff:ff:ff:ff'],
          ['gate', 2],
        ]),
      ],
    ]);
    expect(host.log.filter((line) => !line.includes('.add('))).toEqual([
      "m0::M({'vdev': 'eth_vhost0,iface=/tmp/vm0.sock'})",
      "m1::M({'vdev': 'eth_vhost1,iface=/tmp/vm1.sock'})",
      "fwd::M({'size': 1024})",
      "flood::M({'gates': [0, 1]})",
      'fwd:2 -> 0:flood',
      "m2::Source({'port': 'm0'})",
      'm2:0 -> 0:fwd',
      "m3::Sink({'port': 'm0'})",
      'fwd:0 -> 0:m3',
      'flood:0 -> 0:m3',
      "m4::Source({'port': 'm1'})",
      'm4:0 -> 0:fwd',
      "m5::Sink({'port': 'm1'})",
      'fwd:1 -> 0:m5',
      'flood:1 -> 0:m5',
    ]);
  });
});
