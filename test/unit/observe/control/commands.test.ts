/** The commands of a control socket, and what is checked of their arguments. */
import { describe, expect, it } from 'vitest';
import { commandsWith, readArgs } from '../../../../observe/control/commands.js';

const read = (request: object) => () => readArgs({ command: 'connections', ...request });

describe('the commands of a process', () => {
  it('follow from what its main thread can be asked', () => {
    expect(commandsWith([])).toEqual(['info']);
    expect(commandsWith(['stats'])).toEqual(['info', 'stats']);
    expect(commandsWith(['stats', 'openCapture', 'closeCapture'])).toEqual(['info', 'stats', 'capture', 'flows']);
    expect(commandsWith(['connections', 'openCapture'])).toEqual(['info', 'capture', 'connections', 'flows']);
    // What is asked between threads is no command.
    expect(commandsWith(['openCapture', 'closeCapture', 'snapshot'])).toEqual(['info', 'capture', 'flows']);
  });
});

describe('the arguments of a command', () => {
  it('are complete, so that equal requests have equal ones', () => {
    expect(readArgs({ command: 'stats', limit: 7 } as never)).toEqual({});
    expect(read({})()).toEqual({ limit: 50, sort: 'bytes' });
    expect(readArgs({ command: 'flows' })).toEqual({ limit: 50 });
    expect(readArgs({ command: 'capture', snaplen: 96 })).toMatchObject({ filter: '', directions: 3, snaplen: 96 });
    expect(JSON.stringify(read({ sort: 'rtt', more: 1, limit: 1000 })())).toBe('{"limit":1000,"sort":"rtt"}');
  });

  it.each([0, -1, 1001, 1.5, '5', null, [], Number.MAX_VALUE])('are refused with the limit %j', (limit) => {
    expect(read({ limit })).toThrow('connections: limit is a whole number from 1 to 1000');
    expect(read({ command: 'flows', limit })).toThrow('flows: limit is a whole number from 1 to 1000');
  });

  it.each(['', 'toString', 5, null, ['bytes'], {}])('are refused with the order %j', (sort) => {
    expect(read({ sort })).toThrow('connections: sort is one of bytes, rtt, retransmitted, unsent, state');
  });

  it.each(['', 'toString', '__proto__', 'x'.repeat(100)])('are refused with the command %j', (command) => {
    const name = command.slice(0, 32);
    const known = 'info, stats, capture, connections, flows';
    expect(() => readArgs({ command })).toThrow(`there is no command '${name}'; there are: ${known}`);
  });
});
