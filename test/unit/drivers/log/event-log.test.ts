/** Events as lines, and as objects of JSON. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { lineOf, tellErr, tellErrPlain, tellErrText, tellOut, useLogForm } from '../../../../drivers/log/event-log.js';

let out = '';
let err = '';
vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
  out += String(text);
  return true;
});
vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
  err += String(text);
  return true;
});

afterEach(() => {
  out = '';
  err = '';
  useLogForm('text');
});

describe('events as text', () => {
  it('are their lines', () => {
    tellOut('a table\nof two lines', { event: 'counters', counters: {} });
    tellErr('it\nbreaks', { event: 'warning' });
    tellErrPlain('port vm: gone', { event: 'port', port: 'vm', state: 'down', reason: 'gone' });
    tellErrText('Error: x\n    at y', { event: 'trace' });
    expect(out).toBe('a table\nof two lines\n');
    expect(err).toBe('tspmd: it\\nbreaks\nport vm: gone\nError: x\n    at y\n');
    expect(lineOf('it hangs', { event: 'hang', thread: 'main', state: 'busy', ends: false })).toBe('tspmd: it hangs');
  });
});

describe('events as JSON', () => {
  it('are an object each, with name, level, time, message and fields', () => {
    useLogForm('json');
    tellOut('a table\nof two lines', { event: 'counters', counters: { rx: 1 } });
    tellErr('it breaks', { event: 'warning' });
    tellErr('link up: x', { event: 'link', level: 'info', state: 'up', reason: 'x' });
    const [table] = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(table).toEqual({
      ...{ time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/), level: 'info', event: 'counters' },
      ...{ message: 'a table\nof two lines', counters: { rx: 1 } },
    });
    const [warning, link] = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(warning).toMatchObject({ level: 'warning', event: 'warning', message: 'it breaks' });
    expect(link).toMatchObject({ level: 'info', event: 'link', message: 'link up: x', state: 'up', reason: 'x' });
    expect(Object.keys(link)).toEqual(['time', 'level', 'event', 'message', 'state', 'reason']);
  });

  it('stay one line that a terminal can show, and hold what came', () => {
    useLogForm('json');
    const reason = '\u202egnp.exe\u001b[1A\n\u{e0001}\ud800';
    tellErr('x', { event: 'link', state: 'down', reason });
    tellErr(`lines\nand \u009b`, { event: 'totals', app: 'x', core: 0, totals: { big: 2n ** 70n } });
    const lines = err.trimEnd().split('\n');
    expect(err).not.toMatch(/[^\P{C}\n]/u);
    expect(JSON.parse(lines[0]!).reason).toBe(reason);
    expect(JSON.parse(lines[1]!)).toMatchObject({
      message: 'lines\\nand \\x9b',
      totals: { big: '1180591620717411303424' },
    });
    expect(lines).toHaveLength(2);
  });
});
