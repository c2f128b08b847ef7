/** What a service manager says in the environment. */
import { describe, expect, it } from 'vitest';
import { readServiceEnvironment } from '../../../../../src/cli/service/environment.js';

const SOCKET = '/run/systemd/notify';

describe('the environment of a service', () => {
  it('has a socket, and the time of the watchdog in ms', () => {
    expect(readServiceEnvironment({ NOTIFY_SOCKET: SOCKET }, 7)).toEqual({ socket: SOCKET, watchdogMs: 0 });
    expect(readServiceEnvironment({ NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '10000000' }, 7)).toEqual({
      ...{ socket: '@x', watchdogMs: 10_000 },
    });
  });

  it('has a watchdog for the process that it names only', () => {
    const watched = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '5000000' };
    expect(readServiceEnvironment({ ...watched, WATCHDOG_PID: '7' }, 7)!.watchdogMs).toBe(5000);
    expect(readServiceEnvironment({ ...watched, WATCHDOG_PID: '8' }, 7)!.watchdogMs).toBe(0);
  });

  it.each([{}, { NOTIFY_SOCKET: '' }, { NOTIFY_SOCKET: 'vsock:2:1' }, { NOTIFY_SOCKET: '/' }])(
    'is none without a unix socket: %j',
    (variables) => {
      expect(readServiceEnvironment(variables, 7)).toBeNull();
    },
  );

  it.each(['', '-1', 'x', '1e3', '9'.repeat(16)])('has no watchdog with WATCHDOG_USEC=%s', (usec) => {
    expect(readServiceEnvironment({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: usec }, 7)!.watchdogMs).toBe(0);
  });
});
