import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { init, type SinglePort } from '../../../../src/index.js';
import { DeviceHost } from '../../../../src/node/open-host.js';
import { neighbourMac } from '../../../../src/testing/fake-port.js';
import { LiveCable } from '../../../support/node/live-cable.js';

/** 10.0.0.1 */
const ADDRESS = 0x0a000001;

function openPort(): Promise<SinglePort> {
  return init(
    { device: 'vhost-user:cable', ip: '10.0.0.1/24' },
    { warn: () => {}, openDevice: async () => new LiveCable({ mac: neighbourMac(ADDRESS) }) },
  );
}

describe('DeviceHost', () => {
  it('warns when its stack ends by itself, and its close tells why', async () => {
    const port = await openPort();
    const host = new DeviceHost(port, {});
    const warned = once(process, 'warning');
    await port.stop();
    const [{ code, message }] = (await warned) as [NodeJS.ErrnoException];
    expect(code).toBe('TSPMD_STACK_ENDED');
    expect(message).toContain('the stack has ended: waitForPackets: the port was stopped');
    await expect(host.close()).rejects.toThrow('the port was stopped');
  });

  it('ends its connections at the exit of the process, unless it was closed', async () => {
    const count = process.listenerCount('exit');
    const host = new DeviceHost(await openPort(), {});
    expect(process.listenerCount('exit')).toBe(count + 1);
    const server = host.net.createServer((socket) => socket.on('error', () => {}));
    server.listen(80);
    await once(server, 'listening');
    const client = host.net.connect(80, host.address);
    await once(client, 'connect');
    expect(host.open.size).toBeGreaterThan(1);
    process.listeners('exit').at(-1)?.call(process, 0);
    expect(host.open.size).toBe(0);
    await host.close();
    expect(process.listenerCount('exit')).toBe(count);
  });
});
