import { describe, expect, it } from 'vitest';
import { ExecRoutes } from '../../../../../src/node/exec/routes.js';
import type { NetHost } from '../../../../../src/node/host.js';

const OURS = '10.0.0.1';
const KERNEL_PORT = 22;
const LISTENING = 80;

/** The part of a host that routes look at: it listens at one port, by TCP and by UDP. */
const host = {
  address: OURS,
  wildcardPorts: new Set([LISTENING]),
  stack: { udp: { isBound: (port: number) => port === LISTENING } },
} as unknown as NetHost;
const routes = new ExecRoutes(host, [[KERNEL_PORT, KERNEL_PORT]]);

describe('the routes of a program', () => {
  it.each([
    [null, 1, true],
    ['0.0.0.0', 1, true],
    ['::', 1, true],
    [OURS, 1, true],
    [`::ffff:${OURS}`, 1, true],
    ['127.0.0.1', 1, false],
    ['::1', 1, false],
    ['10.0.0.2', 1, false],
    ['fe80::1', 1, false],
    [null, KERNEL_PORT, false],
    [OURS, KERNEL_PORT, false],
  ])('listen at %s:%i by the stack: %s', (address, port, isOurs) => {
    expect(routes.listen(address, port)).toBe(isOurs ? host : null);
    if (address !== null) expect(routes.bindUdp(address, port)).toBe(isOurs ? host : null);
  });

  it.each([
    ['10.0.0.2', 1, true],
    [OURS, 1, true],
    ['::ffff:10.0.0.2', 1, true],
    ['2001:db8::1', 1, false],
    ['127.0.0.1', 1, false],
    ['::1', 1, false],
    ['0.0.0.0', 1, false],
    ['10.0.0.2', KERNEL_PORT, false],
    ['127.0.0.1', LISTENING, true],
    ['127.9.9.9', LISTENING, true],
    ['::1', LISTENING, true],
  ])('connect to %s:%i by the stack: %s', (address, port, isOurs) => {
    expect(routes.connect(address, port)).toBe(isOurs ? host : null);
    expect(routes.connectToName(address, port)).toBe(isOurs ? host : null);
  });

  it.each([
    ['example.com', 1, true],
    ['localhost', 1, false],
    ['app.localhost.', 1, false],
    ['localhost', LISTENING, true],
    ['example.com', KERNEL_PORT, false],
  ])('connect to the name %s, port %i, by the stack: %s', (name, port, isOurs) => {
    expect(routes.connectToName(name, port)).toBe(isOurs ? host : null);
  });

  it.each([
    ['10.0.0.2', 1, false],
    ['127.0.0.1', 1, true],
    ['127.0.0.1', LISTENING, false],
    ['127.0.0.1', KERNEL_PORT, true],
  ])('send a datagram to %s:%i by the kernel: %s', (address, port, isKernels) => {
    expect(routes.isKernelsUdp(address, port)).toBe(isKernels);
  });

  it('bind a client to our address only', () => {
    expect([OURS, '127.0.0.1', '10.0.0.2'].map((address) => routes.bind(address))).toEqual([host, null, null]);
  });
});
