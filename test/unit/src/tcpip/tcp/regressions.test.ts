/** Faults that random schedules (../schedules.test.ts) have found. */
import { describe, expect, it } from 'vitest';
import { TcpIp, type TcpIpOptions } from '../../../../../src/tcpip/index.js';
import type { Connection, TcpHandlers } from '../../../../../src/tcpip/tcp/state/api.js';
import { type ScriptOptions, script } from '../../../../support/tcpip/script/script.js';

const run = (options: Omit<ScriptOptions, 'stack'>, stack: TcpIpOptions = {}) =>
  script({ ...options, stack: (core) => new TcpIp(core, { seed: 1, ...stack }) });

describe('an idle stack', () => {
  it('does not sleep for longer than its clock can tell', async () => {
    const s = await run({ listen: { port: 80 } });
    expect(s.stack.maxSleepMs!()).toBe(2 ** 30);
    await s.stop();
  });
});

describe('windows', () => {
  it('does not scale the window of a SYN-ACK in a simultaneous open', async () => {
    const s = await run({ connect: { port: 80 } });
    s.expect('S 0:0(0)').inject('S 5:5(0) win 2000 <mss 1000, wscale 7>').expect('S. 0:0(0) ack 1');
    s.inject('S. 0:0(0) ack 1 win 2000 <mss 1000, wscale 7>').expectEvents('open');
    s.write(5000).expect('. 1:1001(1000) ack 1').expect('. 1001:2001(1000) ack 1').expectNothing(150);
    s.abort().expect('R. 2001:2001(0) ack 1');
    await s.stop();
  });

  it('acknowledges from inside of a window that has shrunk', async () => {
    const s = await run({ listen: { port: 80 } });
    s.inject('S 5:5(0) win 8000 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1 win 8000');
    s.write(4000).expect('. 1:1001(1000) ack 1').expect('. 1001:2001(1000) ack 1').expect('. 2001:3001(1000) ack 1');
    s.expect('P. 3001:4001(1000) ack 1');
    s.inject('. 1:1(0) ack 1001 win 500')
      .inject('P. 1:11(10) ack 1001 win 500')
      .expectWithin(50, '. 1501:1501(0) ack 11');
    s.abort().expect('R. 4001:4001(0) ack 11');
    await s.stop();
  });
});

describe('the application', () => {
  it('gets what it has not read when both sides have ended and a RST comes', async () => {
    const s = await run({ listen: { port: 80 } });
    s.inject('S 5:5(0) win 8000 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1 win 8000');
    s.pause().close().expect('FP. 1:1(0) ack 1').inject('. 1:1(0) ack 2 win 8000');
    s.inject('FP. 1:101(100) ack 2 win 8000').expect('. 2:2(0) ack 102');
    s.inject('R 102:102(0)').expectEvents('open').resume().expectEvents('data 100', 'end', 'close');
    await s.stop();
  });

  it('may read what it was given after it has aborted the connection', async () => {
    const connections: Connection[] = [];
    const given: number[][] = [];
    const open = (connection: Connection): void => void connections.push(connection);
    const data: TcpHandlers['data'] = (connection, bytes, offset, length) => {
      given.push([...bytes.subarray(offset, offset + length)]);
      connection.abort();
      connections[1]!.write(new Uint8Array(3000));
      given.push([...bytes.subarray(offset, offset + length)]);
    };
    const s = await run({ listen: { port: 80 }, handlers: { open, data } });
    s.inject('S 4095:4095(0) win 8000 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1 win 8000');
    s.pause().inject('. 1:1001(1000) ack 1').inject('. 1001:2001(1000) ack 1').inject('P. 2001:3001(1000) ack 1');
    for (const ack of [1001, 2001, 3001]) s.expect(`. 1:1(0) ack ${ack}`);
    s.peer(40_001).inject('S 5:5(0) win 8000 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1 win 0');
    s.call('resume', () => connections[0]!.resume());
    expect(given[0]).toHaveLength(3000);
    expect(given[1]).toEqual(given[0]);
    s.expect('R. 1:1(0) ack 3001');
    await s.stop();
  });

  it('may go on after a handler has thrown outside of a poll', async () => {
    const s = await run({
      listen: { port: 80 },
      handlers: {
        data: () => {
          throw new Error('no');
        },
      },
    });
    s.inject('S 5:5(0) win 8000 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1 win 8000');
    s.pause().inject('P. 1:101(100) ack 1').expect('. 1:1(0) ack 101');
    s.call('resume', (connection) => {
      expect(() => connection.resume()).toThrow('no');
      connection.write(new Uint8Array(10));
      // Sent at once, and not by the next poll, which nothing would wake.
      expect(connection.info().inFlight).toBe(10);
    });
    s.next();
    await s.stop();
  });

  it('is told of the end of all connections, also when it throws', async () => {
    let net: TcpIp | undefined;
    const closed: number[] = [];
    const close = (connection: Connection): void => {
      closed.push(connection.remotePort);
      // As a client that connects again whenever a connection ends.
      net!.tcp.connect({ address: '10.0.0.2', port: 80 }, {});
    };
    const s = await script({
      listen: { port: 80 },
      handlers: { close },
      stack: (core) => {
        net = new TcpIp(core, { seed: 1 });
        return net;
      },
    });
    for (const port of [40_000, 40_001]) {
      s.peer(port, 80).inject('S 5:5(0) win 8000 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1');
    }
    expect(() => net!.stop()).toThrow('connect: the stack has stopped');
    expect(() => net!.tcp.listen({ port: 81 }, {})).toThrow('listen: the stack has stopped');
    expect(closed).toEqual([40_000, 40_001]);
    expect(net!.report()).toMatchObject({ tcp_connections: 0, tcp_timers: 0 });
    s.wait(1).expect('R. 1:1(0) ack 1').expect('R. 1:1(0) ack 1');
    await s.stop();
  });

  it('is not told of room while it writes, with little memory', async () => {
    const calls: string[] = [];
    const s = await run(
      { listen: { port: 80 }, handlers: { drain: () => calls.push('drain') } },
      { memory: 65_536, maxSendBuffer: 65_536 },
    );
    s.inject('S 5:5(0) win 65535 <mss 1000>').expect('S. 0:0(0) ack 1').inject('. 1:1(0) ack 1 win 0');
    s.call('write', (connection) => {
      for (let i = 0; i < 100; i++) connection.write(new Uint8Array(1000));
      expect(calls).toEqual([]);
    });
    s.abort().next();
    await s.stop();
  });
});
