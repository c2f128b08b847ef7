/** docs/bess.md: its example runs, and its tables have each function and method that there is. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadScript } from '../../../../bess/script/load.js';
import { FakePortDevice } from '../../../support/bess/fake-port.js';
import { errorOf } from '../../../support/bess/lang-host.js';

const DOCUMENT = readFileSync(fileURLToPath(new URL('../../../../docs/bess.md', import.meta.url)), 'utf8');

/** The names that a message lists, behind `words`. */
function namesIn(source: string, words: string): string[] {
  const list = errorOf(source).message.split(words)[1] ?? '';
  return list.split(', ').filter((name) => name !== '');
}

describe('docs/bess.md', () => {
  it('shows a script that runs', async () => {
    const source = /```python\n([\s\S]*?)```/.exec(DOCUMENT)?.[1] ?? '';
    const open = (queues: number): FakePortDevice => new FakePortDevice(queues);
    const devices = {
      vhost: ({ queues }: { queues: number }) => open(queues),
      tap: () => open(1),
      afPacket: () => open(1),
      close: () => {},
    };
    const options = { devices, print: () => {}, log: () => {} };
    const bess = await loadScript({ name: 'bess.md', source }, { NPORTS: '3' }, options);
    expect(bess.ports.all.map(({ name }) => name)).toEqual(['vm0', 'vm1', 'vm2']);
    await bess.stop();
  });

  it.each([
    ['Python', 'sorted()', 'which has '],
    ['strings', "''.sort()", 'it has: '],
    ['lists', '[].sort()', 'it has: '],
    ['dicts', '{}.sort()', 'it has: '],
    ['`os`', 'import os\nos.sort()', 'it has: '],
    ['`os`', 'import os\nos.path.sort()', 'it has: '],
  ])('has what there is of %s: %j', (row, source, words) => {
    const names = namesIn(source, words);
    expect(names.length).toBeGreaterThan(1);
    const section = DOCUMENT.split('## Functions and methods')[1] ?? '';
    const documented = section.split('\n').find((line) => line.startsWith(`| ${row} `)) ?? '';
    expect(names.filter((name) => !new RegExp(`[\`.]${name}[(.[]`).test(documented))).toEqual([]);
  });

  it('quotes messages as they are', () => {
    expect(DOCUMENT).toContain(errorOf('\n\n\n\n\n\nif 1').message.replace(/^.*?:7:5/, 'vms.bess:7:5'));
    expect(DOCUMENT).toContain(errorOf('def f(): pass').message.replace(/^.*?:1:1: /, ''));
  });
});
