/**
 * A DHCP server that answers whatever a case says, to a client in virtual time. Each message is decoded twice, with other
 * bytes behind it: a difference means that something behind the message was read. Whatever the server does, the client
 * takes no address that no host can have, and sends no more than a few messages per second.
 */
import { DhcpClient } from '../../../src/link/dhcp/client.js';
import { decodeMessage } from '../../../src/link/dhcp/message.js';
import { hostFault } from '../../../src/link/host.js';
import { readI32, writeI32 } from '../../../src/wire/bytes.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
const OPTIONS = 240;
const MAX_MESSAGE = 1500;
const STEPS = 24;
/** Messages that a client may send per step beside one per half a second: an exchange, a DECLINE, a DISCOVER. */
const BURST = 8;
const ADDRESSES = [0x0a000039, 0x0a00003a, 0x0a000000, 0x0a0000ff, 0, 0xffffffff, 0x7f000001, 0xe0000001, 0x0a000009];
const CODES = [1, 3, 6, 15, 26, 28, 51, 52, 53, 54, 55, 56, 58, 59, 61, 0, 255];
const TIMES = [0, 1, 2, 3, 10, 120, 3600, 0x7fffffff, 0xffffffff];
const WAITS = [0, 1, 100, 500, 4000, 60_000, 3_600_000, 1e8];
const SERVER = 0x0a000009;

/** Writes a message of the server for the exchange `xid`. Returns its length. */
function write(bytes: Uint8Array, input: Input, xid: number): number {
  bytes.fill(0);
  bytes.set([2, 1, 6]);
  writeI32(bytes, 4, input.below(16) === 0 ? input.u32() : xid);
  writeI32(bytes, 16, input.pick(ADDRESSES));
  bytes.set(MAC, 28);
  writeI32(bytes, 236, 0x63825363);
  let at = OPTIONS;
  const word = (code: number, value: number): void => {
    bytes[at] = code;
    bytes[at + 1] = 4;
    writeI32(bytes, at + 2, value);
    at += 6;
  };
  if (input.below(8) !== 0) bytes.set([53, 1, input.below(9)], at);
  at += 3;
  if (input.below(8) !== 0) word(54, input.below(8) === 0 ? input.u32() : SERVER);
  if (input.below(4) !== 0) word(1, input.below(4) === 0 ? input.u32() : 0xffffff00);
  if (input.below(4) !== 0) word(51, input.pick(TIMES));
  for (let options = input.below(6); options > 0; options--) {
    const code = input.pick(CODES);
    const value = input.take(input.below(20));
    bytes[at] = code;
    bytes[at + 1] = input.below(16) === 0 ? input.u8() : value.length;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  // What an overloaded message has in the fields of the server and the file.
  bytes.set(input.take(input.below(32)), 44);
  bytes.set(input.take(input.below(32)), 108);
  if (input.below(4) !== 0) bytes[at++] = 255;
  for (let damage = input.below(4); damage > 0; damage--) bytes[input.u16() % at] = input.u8();
  return input.below(8) === 0 ? input.u16() % (at + 1) : at;
}

function sameDecoding(bytes: Uint8Array, length: number): void {
  if (length < OPTIONS) return;
  const [one, other] = [0, 0xff].map((poison) => {
    const copy = new Uint8Array(MAX_MESSAGE).fill(poison);
    copy.set(bytes.subarray(0, length));
    return JSON.stringify(decodeMessage(copy, 0, length));
  });
  check(one === other, `bytes behind the message were read: ${one} and ${other}`);
}

export const dhcp: FuzzTarget = {
  name: 'dhcp',
  summary: 'answers of a DHCP server to the client: no impossible address, no flood, nothing read behind a message',
  maxBytes: 1200,
  prepare(feedback) {
    const bytes = new Uint8Array(MAX_MESSAGE);
    return {
      run(input) {
        let now = 0;
        let sent = 0;
        let xid = 0;
        let randoms = 1;
        let failures = 0;
        let bound = 0;
        const transport = {
          mac: MAC,
          send(message: Uint8Array): void {
            check(message.length >= 300 && message.length <= 576, `a message of ${message.length} bytes`);
            xid = readI32(message, 4);
            sent++;
          },
          probe: (): void => {},
        };
        const client = new DhcpClient(transport, {
          onAddress({ host, lease }) {
            bound = host.address;
            check((lease === null) === (host.address === 0), 'an address without a lease');
            if (lease === null) return;
            check(hostFault(host.address, host.prefixLength) === '', `no host can have ${lease.address}`);
            check(lease.mtu === null || lease.mtu >= 576, `an MTU of ${lease.mtu}`);
            check(lease.seconds >= 2, `a lease of ${lease.seconds} s`);
          },
          onFailure: () => failures++,
          warn: () => {},
          clock: () => now,
          random: () => (randoms = (randoms * 1_103_515_245 + 12_345) >>> 0),
        });
        client.start();
        for (let step = 0; step < STEPS && input.left > 0; step++) {
          const before = sent;
          const length = write(bytes, input, xid);
          sameDecoding(bytes, length);
          client.receive(bytes, 0, length);
          if (input.below(16) === 0) client.conflict('52:54:00:00:00:02');
          const end = now + input.pick(WAITS);
          const from = now;
          for (let due = client.nextDeadline(); due <= end; due = client.nextDeadline()) {
            now = Math.max(now, due);
            client.tick(now);
            check(sent - before <= BURST + (now - from) / 500, `${sent - before} messages in ${now - from} ms`);
          }
          now = end;
          feedback.mark((bound === 0 ? 0 : 1) + 2 * Math.min(sent - before, 15));
        }
        check(failures <= 1, 'the client has given up twice');
        client.stop();
        check(client.nextDeadline() === Number.POSITIVE_INFINITY, 'something is due after the end');
      },
    };
  },
};
