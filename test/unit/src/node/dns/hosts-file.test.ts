/** /etc/hosts: what is read of it, and when. */
import { execFileSync } from 'node:child_process';
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostsFile } from '../../../../../src/node/dns/hosts-file.js';
import { temporaryDirectory } from '../../../../support/resources.js';

let folder: ReturnType<typeof temporaryDirectory>;
let path: string;
let now: number;
let hosts: HostsFile;
let writes: number;

/** Writes the file; its time of change is another each time. */
function write(text: string): void {
  writeFileSync(path, text);
  utimesSync(path, 1000, 1000 + ++writes);
}

beforeEach(() => {
  folder = temporaryDirectory();
  path = join(folder.path, 'hosts');
  now = 0;
  writes = 0;
  hosts = new HostsFile({ path, timers: { now: () => now } });
});

afterEach(() => folder.remove());

describe('the file', () => {
  it('has addresses of both families, aliases, comments, and lines that are ignored', () => {
    write(
      [
        '# 10.9.9.9 commented',
        '10.0.0.1\tone.test  one ONE.Alias. # 10.9.9.9',
        '  10.0.0.2 one.test',
        '::1 localhost ip6-localhost',
        '127.0.0.1 localhost',
        '10.0.0.1 one.test',
        '10.0.0.300 wrong',
        'one.test 10.0.0.4',
        '10.0.0.5',
        '10.0.0.6 not..a..name last.test\r',
      ].join('\n'),
    );
    expect(hosts.lookup('one.test')).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(hosts.lookup('one')).toEqual(['10.0.0.1']);
    expect(hosts.lookup('one.alias')).toEqual(['10.0.0.1']);
    expect(hosts.lookup('localhost')).toEqual(['::1', '127.0.0.1']);
    expect(hosts.lookup('last.test')).toEqual(['10.0.0.6']);
    for (const name of ['commented', 'wrong', '10.0.0.4', 'not..a..name', 'other', '__proto__', 'constructor']) {
      expect(hosts.lookup(name), name).toEqual([]);
    }
  });

  it('gives at most 64 addresses of a name', () => {
    write(Array.from({ length: 100 }, (_, i) => `10.0.0.${i} many`).join('\n'));
    expect(hosts.lookup('many')).toHaveLength(64);
  });

  it('may be missing, a folder, or a pipe without a writer', () => {
    expect(hosts.lookup('a')).toEqual([]);
    expect(new HostsFile({ path: folder.path }).lookup('a')).toEqual([]);
    const pipe = join(folder.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(new HostsFile({ path: pipe }).lookup('a')).toEqual([]);
  });
});

describe('a change', () => {
  it('is noticed after five seconds, and a removal, too', () => {
    write('10.0.0.1 a');
    expect(hosts.lookup('a')).toEqual(['10.0.0.1']);
    write('10.0.0.2 a');
    now = 4999;
    expect(hosts.lookup('a')).toEqual(['10.0.0.1']);
    now = 5000;
    expect(hosts.lookup('a')).toEqual(['10.0.0.2']);
    rmSync(path);
    now = 10_000;
    expect(hosts.lookup('a')).toEqual([]);
    write('10.0.0.3 a');
    now = 15_000;
    expect(hosts.lookup('a')).toEqual(['10.0.0.3']);
  });
});
