/** `.bess` scripts, as text: each one runs to its end or fails with the one error that the language has. */
import { BessScriptError, runScript } from '../../../bess/lang/index.js';
import { RecordingHost } from '../../support/bess/lang-host.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const KINDS = new Set(['syntax', 'runtime']);
const DICTIONARY = [
  ...['\n', '\n    ', ' -> ', ':0 -> ', '::', 'for a, (b, c) in x:\n    ', 'f(', ')', '[', ']', '{', '}', ', ', '='],
  ...['for i in range(9):\n    ', 'if x:\n    ', 'else:\n    ', 'elif x:\n    '],
  ...['import os', 'os.environ', 'os.path.exists(', 'assert ', 'break', 'continue', 'pass'],
  ...[
    "f'{x!r:>10}'",
    "'%s %d' % (1, 2)",
    "f'{x}{y:04x}'",
    "'abc'",
    '"""',
    "'''",
    'None',
    'True',
    'False',
    'not ',
    ' and ',
  ],
  ...[' or ', ' in ', ' is ', '**', '//', '<<', '>>', '9007199254740991', '0x', '-1', '[0] * 100', "'a' * 1000"],
  ...[
    '.append(',
    '.items()',
    '.split(',
    '.join(',
    '.replace(',
    'enumerate(',
    'len(',
    'str(',
    'int(',
    'range(',
    'print(',
    'dict(',
    'list(',
  ],
  ...[
    '$X',
    "$X!'d'",
    'M()',
    'm::M()',
    'Source()',
    'Sink()',
    'bess.',
    '.connect(',
    '.add(',
    ' for i in ',
    ' if x else ',
    '\\\n',
    '#',
  ],
];

export const bessScript: FuzzTarget = {
  name: 'bess-script',
  summary: 'text as a .bess script, parsed and run: a result or a BessScriptError of one line, within two seconds',
  maxBytes: 1024,
  dictionary: DICTIONARY,
  maxMs: 2000,
  prepare(feedback) {
    const run = (input: Input): void => {
      const source = Buffer.from(input.take(1024)).toString('utf8');
      const host = new RecordingHost({ X: '3' });
      try {
        runScript(source, 'fuzz.bess', host);
        feedback.mark(0x8000 + Math.min(host.log.length, 15) * 16 + Math.min(host.printed.length, 15));
      } catch (error) {
        if (!(error instanceof BessScriptError)) throw error;
        check(KINDS.has(error.kind), `an error of kind ${error.kind}`);
        check(!error.message.includes('\n'), `an error of several lines: ${error.message}`);
        check(error.line >= 1 && error.column >= 1, `an error at ${error.line}:${error.column}: ${error.message}`);
        const text = error.message.replace(/^[^ ]* /, '').slice(0, 24);
        let hash = error.kind === 'syntax' ? 1 : 2;
        for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) & 0x3ff;
        feedback.mark(hash);
      }
    };
    return { run };
  },
};
