import { describe, expect, it } from 'vitest';
import createEcho from '../../../../../../src/apps/echo.js';
import { AnsweringStack } from '../../../../../support/tcpip/script/answering-stack.js';
import { Datagrams } from '../../../../../support/tcpip/sim/datagrams.js';
import { Simulation } from '../../../../../support/tcpip/sim/simulation.js';
import { Trace } from '../../../../../support/tcpip/sim/trace.js';

describe('a trace', () => {
  it('lists the segments of a connection with relative numbers', async () => {
    const sim = new Simulation({ seed: 1 });
    const trace = new Trace(sim);
    const a = await sim.host();
    const b = await sim.host();
    sim.link(a, b, { delayMs: 10, lose: (_frame, length) => length === 14 + 40 + 30 });
    const client = new AnsweringStack(a.core);
    const server = new AnsweringStack(b.core);
    a.stack = client;
    b.stack = server;
    server.tcp.listen({ port: 80 }, {});
    const connection = client.tcp.connect({ address: b.address, port: 80 }, {});
    sim.at(50, () => connection.write(new Uint8Array(30)));
    sim.wake();
    sim.run(100);
    expect(trace.toString().split('\n')).toEqual([
      '       0.000 10.0.0.1-10.0.0.2 50000 > 80 S 0:0(0) win 1000 <>',
      '      10.000 10.0.0.2-10.0.0.1 80 > 50000 S. 0:0(0) ack 1 win 1000 <>',
      '      20.000 10.0.0.1-10.0.0.2 50000 > 80 . 1:1(0) ack 1 win 1000 <>',
      '      50.000 10.0.0.1-10.0.0.2 50000 > 80 P. 1:31(30) ack 1 win 1000 <> (lost)',
    ]);
    await sim.stop();
  });

  it('keeps the last lines, and tells the fate of each frame', async () => {
    const sim = new Simulation({ seed: 1 });
    const trace = new Trace(sim, 3);
    const a = await sim.host();
    const b = await sim.host();
    sim.link(a, b, { duplicate: 1 }, { corrupt: 1 });
    const sender = new Datagrams(a.core, () => sim.now, 7);
    a.stack = sender;
    b.stack = createEcho(b.core);
    sim.at(1, () => sender.send(b.core.address, 2));
    sim.run(10);
    expect(trace.lines.map((line) => line.replace(/^.*protocol/, 'protocol'))).toEqual([
      'protocol 17, 100 bytes (corrupted)',
      'protocol 17, 100 bytes (corrupted)',
      'protocol 17, 100 bytes (corrupted)',
    ]);
    await sim.stop();
  });
});
