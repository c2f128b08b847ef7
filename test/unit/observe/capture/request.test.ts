/** What a request for a capture may say: every argument has few values, and an error names it and what is expected. */
import { describe, expect, it } from 'vitest';
import { readCapture } from '../../../../observe/capture/request.js';
import { RequestError } from '../../../../observe/control/requests.js';

const DEFAULTS = { filter: '', directions: 3, drops: false, snaplen: 0, count: 0, duration: 0, port: null };

describe('a request for a capture', () => {
  it('has a default for everything, also for null', () => {
    expect(readCapture({})).toEqual(DEFAULTS);
    const nulls = { filter: null, direction: null, drops: null, snaplen: null, count: null, duration: null };
    expect(readCapture({ command: 'capture', ...nulls, port: null })).toEqual(DEFAULTS);
  });

  it('has no more than is known', () => {
    expect(readCapture({ id: 7, directions: 0, ring: 1, ['__proto__x']: 1 })).toEqual(DEFAULTS);
  });

  it.each([
    [{ filter: ' tcp port 80 ' }, { filter: 'tcp port 80' }],
    [{ filter: '  ' }, { filter: '' }],
    [{ direction: 'in' }, { directions: 1 }],
    [{ direction: 'out' }, { directions: 2 }],
    [{ direction: 'both' }, { directions: 3 }],
    [{ drops: true }, { drops: true }],
    [{ snaplen: 1 }, { snaplen: 1 }],
    [{ snaplen: 65_535 }, { snaplen: 65_535 }],
    [{ count: Number.MAX_SAFE_INTEGER }, { count: Number.MAX_SAFE_INTEGER }],
    [{ duration: 0.25 }, { duration: 0.25 }],
    [{ duration: 604_800 }, { duration: 604_800 }],
    [{ port: 'p'.repeat(256) }, { port: 'p'.repeat(256) }],
  ])('%j is read', (request, expected) => {
    expect(readCapture(request)).toEqual({ ...DEFAULTS, ...expected });
  });

  const notWhole = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5', true, [], {}, 2 ** 53];
  it.each([
    ...[0, true, [], {}, ['tcp']].map((value) => ['filter', value, 'filter: an expression such as']),
    ...['IN', '', 'toString', '__proto__', 1, true, [], ['in'], {}].map((value) => [
      'direction',
      value,
      'direction: in, out or both was expected',
    ]),
    ...['true', 0, 1, [], {}].map((value) => ['drops', value, 'drops: true or false was expected']),
    ...[...notWhole, 65_536].map((value) => ['snaplen', value, 'snaplen: a whole number from 0 to 65535 was expected']),
    ...notWhole.map((value) => ['count', value, 'count: a whole number from 0 to 9007199254740991 was expected']),
    ...[-0.001, Number.NaN, Number.POSITIVE_INFINITY, 604_801, '5', true, [], {}].map((value) => [
      'duration',
      value,
      'duration: a number of seconds from 0 to 604800 was expected',
    ]),
    ...['', 'p'.repeat(257), 0, true, [], ['p'], {}].map((value) => [
      'port',
      value,
      'port: the name of a port was expected',
    ]),
  ])('%s: %j is refused', (name, value, message) => {
    const read = () => readCapture({ [name as string]: value });
    expect(read).toThrow(RequestError);
    expect(read).toThrow(message as string);
  });

  it('says in one line what is wrong with a filter', () => {
    const read = () => readCapture({ filter: 'tcp port' });
    expect(read).toThrow(RequestError);
    expect(read).toThrow(/^[^\n]*port[^\n]*$/);
  });
});
