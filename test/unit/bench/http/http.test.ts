/** What `bench -- http` writes for nginx, and how it names what limits a server. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { limitIn } from '../../../../bench/common/limit.js';
import type { Window } from '../../../../bench/http/contestants.js';
import { configureNginx, NGINX_SETTINGS } from '../../../../bench/http/nginx.js';

const folder = mkdtempSync(join(tmpdir(), 'tspmd-nginx-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the configuration of nginx', () => {
  it('has the body, the settings, and no path outside of its folder', () => {
    const file = configureNginx(folder, '<p>one\ntwo\n').at(-1)!;
    const text = readFileSync(file, 'utf8');
    expect(text).toContain("return 200 '<p>one\ntwo\n';");
    expect(text).toContain(`keepalive_requests ${NGINX_SETTINGS.keepalive_requests};`);
    const paths = text.match(/(?<=\s)\/[\w/.-]+(?=;)/g) ?? [];
    expect(paths).toHaveLength(6);
    for (const path of paths) expect(path.startsWith(`${folder}/`)).toBe(true);
  });

  it.each(["'", '$', '\\'])('refuses a body with %s', (character) => {
    expect(() => configureNginx(folder, `a${character}b`)).toThrow('meaning of its own');
  });
});

describe('the limit of a contestant', () => {
  const windows = (...shares: [number, number][]): Window[] =>
    shares.map(([serverBusy, loadBusy]) => ({ perSecond: 1, perCpuSecond: 1, p99Us: 1, serverBusy, loadBusy }));

  it('is the part that has work all the time, by the median of the windows', () => {
    expect(limitIn(windows([0.2, 0.5], [0.98, 0.6], [0.97, 0.7]))).toBe('server (server busy 97 %, load 60 %)');
    expect(limitIn(windows([0.4, 0.95]))).toBe('load (server busy 40 %, load 95 %)');
    expect(limitIn(windows([0.95, 1]))).toBe('server and load (server busy 95 %, load 100 %)');
    expect(limitIn(windows([0.4, 0.5]))).toBe('requests under way (server busy 40 %, load 50 %)');
  });
});
