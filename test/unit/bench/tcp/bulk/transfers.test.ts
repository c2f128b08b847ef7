/** The load of the rows `bulk/…`, with our own server of iperf3 and with a port that compares. */
import { describe, expect, it } from 'vitest';
import { makeBlock, RepeatedBlock } from '../../../../../bench/tcp/bulk/block.js';
import { DISCARD_PORT, VERIFY_PORT } from '../../../../../bench/tcp/bulk/setup.js';
import { check, Receiver, Sender } from '../../../../../bench/tcp/bulk/transfers.js';
import { IPERF_PORT } from '../../../../../src/apps/iperf3/protocol.js';
import { Iperf3Server } from '../../../../../src/apps/iperf3/server.js';
import type { Connection } from '../../../../../src/tcpip/index.js';
import { FakeWire } from '../../../../support/apps/fake-wire.js';

const block = makeBlock();
const ENOUGH = 1_000_000;

/** Waits for a promise while bytes move. */
async function moving<T>(wire: FakeWire, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  void promise.then(
    () => {
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  await wire.runUntil(() => isSettled);
  return promise;
}

describe('a repeated block', () => {
  it('notices every byte that is not its own, in pieces of any length', () => {
    const stream = new RepeatedBlock(block);
    const sent = Buffer.concat([block, block, block]);
    sent[70_000]! ^= 1;
    for (let at = 0; at < sent.length; at += 1448) stream.take(sent, at, Math.min(1448, sent.length - at));
    expect(stream).toMatchObject({ bytes: sent.length, wrong: 1 });
  });
});

describe('as a client of iperf3', () => {
  function lab() {
    const wire = new FakeWire({ piece: (available) => Math.min(available, 1448) });
    wire.tcp.listen({ port: IPERF_PORT }, new Iperf3Server());
    return { wire, source: { net: wire, protocol: 'iperf3', block } as const };
  }

  it('asks the server to send, and tells it what has come', async () => {
    const wire = new FakeWire();
    const said: string[] = [];
    let control: Connection | undefined;
    const message = (json: object): Buffer => {
      const content = Buffer.from(JSON.stringify(json));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(content.length);
      return Buffer.concat([length, content]);
    };
    // Each message of the client, and the answer of the server.
    const answers = [[9], [10], [13], [...message({ streams: [{ bytes: 5000 }] }), 14]];
    const handlers = {
      data(c: Connection, bytes: Uint8Array, offset: number, length: number): void {
        const text = Buffer.from(bytes.subarray(offset, offset + length)).toString('latin1');
        control ??= c;
        if (c === control) {
          said.push(text);
          c.write(Uint8Array.from(answers[said.length - 1] ?? []));
        } else {
          // The cookie of the stream.
          expect(text).toBe(said[0]);
          control.write(Uint8Array.of(1, 2));
          c.write(Buffer.alloc(5000));
        }
      },
      end: (c: Connection) => c.end(),
    };
    wire.tcp.listen({ port: IPERF_PORT }, handlers);
    const receiver = new Receiver({ net: wire, protocol: 'iperf3', block }, 5000);
    await moving(wire, receiver.arrived());
    const stream = wire.connections.find((c) => c.remotePort === IPERF_PORT && c.bytesRead === 5000);
    const stopped = receiver.stop();
    await wire.runUntil(() => said.length === 5);
    stream?.end();
    stream?.peer.end();
    expect(await moving(wire, stopped)).toBe(5000);
    expect(JSON.parse(said[1]!.slice(4))).toMatchObject({ tcp: true, parallel: 1, reverse: true, time: 0 });
    expect(said[2]).toBe('\x04');
    expect(JSON.parse(said[3]!.slice(4)).streams).toMatchObject([{ id: 1, bytes: 5000, retransmits: -1 }]);
    expect(said[4]).toBe('\x10');
  });

  it('sends, and is told how much has come', async () => {
    const { wire, source } = lab();
    expect(await moving(wire, check(source, 'rx', ENOUGH))).toEqual({ bytes: ENOUGH, wrong: null });
  });

  it('fails when another test is running', async () => {
    const { wire, source } = lab();
    const first = new Sender(source, DISCARD_PORT, 1000);
    await moving(wire, first.running);
    await expect(moving(wire, new Sender(source).running)).rejects.toThrow('iperf3 refuses the test');
    await moving(wire, first.stop());
  });
});

describe('to a port', () => {
  it('sends as much as is wanted, and reads the verdict of the server', async () => {
    const wire = new FakeWire();
    const stream = new RepeatedBlock(block);
    wire.tcp.listen(
      { port: VERIFY_PORT },
      {
        data: (_c, bytes, offset, length) => stream.take(bytes, offset, length),
        end(c) {
          const verdict = Buffer.alloc(8);
          verdict.writeUInt32BE(stream.bytes, 0);
          verdict.writeUInt32BE(3, 4);
          c.write(verdict);
          c.end();
        },
      },
    );
    const source = { net: wire, protocol: 'ports', block } as const;
    expect(await moving(wire, check(source, 'rx', ENOUGH))).toEqual({ bytes: ENOUGH, wrong: 3 });
    expect(stream).toMatchObject({ bytes: ENOUGH, wrong: 0 });
  });

  it('counts what has arrived, until it is stopped', async () => {
    const wire = new FakeWire();
    let bytes = 0;
    wire.tcp.listen(
      { port: DISCARD_PORT },
      {
        data(_c, _bytes, _offset, length) {
          bytes += length;
        },
      },
    );
    const sender = new Sender({ net: wire, protocol: 'ports', block }, DISCARD_PORT, ENOUGH);
    await moving(wire, sender.arrived());
    expect([bytes, sender.bytes]).toEqual([ENOUGH, ENOUGH]);
    expect(await moving(wire, sender.stop())).toBeNull();
  });
});
