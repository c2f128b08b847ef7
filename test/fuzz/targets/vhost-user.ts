/**
 * A vhost-user frontend that sends anything, over a real socket with real descriptors: framing, requests in any order, wrong
 * sizes, too many descriptors, descriptors of every kind, blocking or not, rings that are used while all of that changes, files
 * with names that could forge a line, and floods of what is refused.
 */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  acceptUnix,
  closeFile,
  connectUnix,
  emptyMemfd,
  eventfd,
  listenUnix,
  MessageSocket,
  memfd,
  type Reactor,
  setNonBlocking,
  signalEventfd,
} from '../../../drivers/libc/index.js';
import { LineLimiter } from '../../../drivers/log/line-limiter.js';
import { isPlain } from '../../../drivers/log/safe-text.js';
import { HUGEPAGE_BYTES, MemoryWindow, WindowAllocator } from '../../../drivers/memory/index.js';
import { PORT_OFFLOADS } from '../../../drivers/offloads.js';
import * as p from '../../../drivers/transports/vhost-user/protocol.js';
import { QueuePair } from '../../../drivers/transports/vhost-user/queue-pair.js';
import { VhostUserSession } from '../../../drivers/transports/vhost-user/session.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { SoftwareOffload } from '../../../drivers/virtio/device/software-offload.js';
import { HOSTILE_NAME } from '../../support/bess/refused-messages.js';
import { BIG_BYTES, DescriptorKinds } from '../../support/libc/descriptor-kinds.js';
import { counterOf, fillCounter, makeBlocking } from '../../support/libc/hostile-eventfd.js';
import { openFds } from '../../support/resources.js';
import { DescriptorGuard } from '../descriptor-guard.js';
import type { Input } from '../input.js';
import { ManualReactor } from '../manual-reactor.js';
import { check, type FuzzTarget } from '../target.js';

const R = p.VhostUserRequest;
const REQUESTS = Object.values(R);
const MEMORY_BYTES = 4 * 4096;
const USER_BASE = 0x7f00_0000_0000n;
const RINGS = 4;
/** What the backend offers, and single bits of it; bit 34 is RING_PACKED. */
const FEATURES = [0x5_7000_8000n, 0x1_4000_0000n, 0x1_7000_8000n, 0x1_7000_8008n, 0x2000_8000n, 0n, 0x4000_0000n, 0x1n];
/** Words of an exception that nobody meant to throw. */
const MISTAKE = /undefined|NaN|Cannot |is not a function|is not iter|Invalid|out of bounds|out of range|Maximum/;
const NO_FDS: number[] = [];
/** Too big for the window that peers share. */
const BIG_REGION = { guestAddress: 0n, size: BigInt(BIG_BYTES), userAddress: USER_BASE, mmapOffset: 0n };
const BIG_TABLE = p.encodeMemoryTable([BIG_REGION]);
/** No line is longer, whatever a peer calls its files. */
const MAX_LINE = 400;
/** What the peer of one port may have in the log in ten seconds, which no case lasts: 20 lines of each of five kinds. */
const MAX_LOG = 5 * 20 * MAX_LINE;
const MAX_FLOOD = 256;

export const vhostUser: FuzzTarget = {
  name: 'vhost-user',
  summary:
    'a frontend that sends any bytes, messages and descriptors, in any order, over a socket: refused, survived, nothing left open',
  maxBytes: 768,
  prepare(feedback) {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-fuzz-'));
    const path = join(folder, 's');
    const listener = listenUnix(path);
    const windows = new WindowAllocator(32 * HUGEPAGE_BYTES);
    const memoryFd = memfd('fuzz', MEMORY_BYTES, false);
    const window = MemoryWindow.reserve(HUGEPAGE_BYTES);
    window.mapFile(0, MEMORY_BYTES, memoryFd, 0, 'fuzz');
    const guest = new Uint32Array(window.buffer, window.start, MEMORY_BYTES / 4);
    const small = memfd('small', 4096, false);
    const events = [eventfd(), eventfd()];
    const hostile = emptyMemfd(HOSTILE_NAME);
    const others = [openSync('/dev/null', 'r+'), openSync(folder, 'r'), openSync('/proc/self/stat', 'r')];
    const more = new DescriptorKinds();
    const kinds = [memoryFd, events[0]!, events[1]!, small, ...others, listener, hostile, ...more.all];
    const big = more.byKind['without pages']!;
    const guard = new DescriptorGuard();
    const atFirst = openFds();
    const burst = new PacketBurst(window);
    /** Files that the case before has made blocking. */
    const changedFlags: number[] = [];
    const indices = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
    const header = Buffer.from(new ArrayBuffer(p.HEADER_BYTES));
    const replies = Buffer.from(new ArrayBuffer(1 << 16));

    const payloadOf = (input: Input, request: number): Buffer => {
      const index = input.below(RINGS + 1);
      switch (request) {
        case R.SET_FEATURES:
          return p.encodeU64(input.pick(FEATURES));
        case R.SET_PROTOCOL_FEATURES:
          return p.encodeU64(input.bool() ? 0x1_2019n : input.u64());
        case R.SET_MEM_TABLE: {
          const shape = input.u8();
          if ((shape & 63) === 63) return p.encodeMemoryTable([BIG_REGION]);
          const regions = Array.from({ length: 1 + (shape >>> 6) }, (_, i) => ({
            guestAddress: BigInt(i * MEMORY_BYTES),
            size: BigInt(MEMORY_BYTES - 4096 * input.below(4)),
            userAddress: USER_BASE + BigInt(i * MEMORY_BYTES),
            mmapOffset: BigInt(4096 * (input.u8() & 3 & input.u8())),
          }));
          return p.encodeMemoryTable(regions);
        }
        case R.SET_VRING_NUM:
          return p.encodeVringState({ index, num: input.bool() ? 1 << input.below(16) : input.u32() });
        case R.SET_VRING_BASE:
          return p.encodeVringState({ index, num: input.bool() ? input.u16() : input.u32() });
        case R.SET_VRING_ADDR: {
          const at = USER_BASE + BigInt(4096 * (index & 3));
          const shift = input.bool() ? BigInt(input.u16()) : 0n;
          return p.encodeVringAddress({
            index,
            flags: 0,
            descriptor: at,
            available: at + 1024n + shift,
            used: at + 2048n + (shift & 0xfffcn),
            log: 0n,
          });
        }
        case R.SET_VRING_KICK:
        case R.SET_VRING_CALL:
        case R.SET_VRING_ERR:
          return p.encodeVringFd(index, input.bool());
        case R.GET_VRING_BASE:
        case R.SET_VRING_ENABLE:
          return p.encodeVringState({ index, num: input.u8() & 1 });
        case R.NET_SET_MTU:
        case R.SET_STATUS:
          return p.encodeU64(BigInt(input.u16()));
        default:
          return Buffer.alloc(0);
      }
    };

    /** The descriptors that belong to a message, or others. */
    const fdsFor = (input: Input, request: number, payload: Buffer): number[] => {
      const odd = input.u8();
      if (odd > 0xe0) return Array.from({ length: odd & 15 }, () => input.pick(kinds));
      if (request === R.SET_MEM_TABLE) {
        const count = payload.length >= 4 ? Math.min(payload.readUInt32LE(0), 8) : 0;
        const file = payload.equals(BIG_TABLE) ? big : memoryFd;
        return Array.from({ length: count }, () => ((odd & 7) === 7 ? input.pick(kinds) : file));
      }
      const wantsFd = request === R.SET_VRING_KICK || request === R.SET_VRING_CALL || request === R.SET_VRING_ERR;
      if (!wantsFd || payload.length !== 8 || payload[1] !== 0) return NO_FDS;
      return [(odd & 15) === 15 ? input.pick(kinds) : events[odd & 1]!];
    };

    const checkLine = (line: string): void => {
      check(!MISTAKE.test(line), `a mistake: ${line}`);
      check(isPlain(line), `not plain: ${JSON.stringify(line)}`);
      check(line.length <= MAX_LINE, `${line.length} characters: ${line}`);
    };

    const run = (input: Input): void => {
      guest.fill(0);
      for (const event of events) counterOf(event);
      for (const changed of changedFlags.splice(0)) setNonBlocking(changed, 'a file');
      let carriesFds = false;
      const reactor = new ManualReactor(guard);
      const client = new MessageSocket(connectUnix(path), 'fuzz');
      const fd = acceptUnix(listener, path)!;
      guard.begin(fd);
      const shape = input.u8();
      const pairs = [new QueuePair('0'), new QueuePair('1')].slice(0, 1 + (shape & 1));
      const sealedOnly = (shape & 0xc0) === 0xc0;
      let closed: string | null = null;
      let notices = 0;
      let logged = 0;
      const log = new LineLimiter(
        (line) => {
          logged += line.length;
        },
        { clock: () => 0 },
      );
      let previous = 0;
      const files = sealedOnly ? ('sealed' as const) : ('any' as const);
      const common = { name: 'port', windows, pairs, files, signals: guard.signals(), closer: guard.closer };
      const software = new SoftwareOffload(windows);
      const options = { ...common, offloads: PORT_OFFLOADS, software, reactor: reactor as unknown as Reactor };
      const session = new VhostUserSession(fd, options, {
        onKick: () => {},
        onChange: () => {},
        onClose: (reason) => {
          closed = reason;
        },
        onNotice: (line, kind) => {
          notices++;
          checkLine(line);
          log.write(kind, line);
        },
      });

      /** Lets the backend read what waits. Level-triggered: it is told again for as long as there is something. */
      const deliver = (): void => reactor.ready(fd);
      const send = (bytes: Uint8Array, fds: readonly number[]): void => {
        carriesFds ||= fds.length > 0;
        try {
          client.send(bytes, fds);
        } catch {
          // It has hung up, which is its right; what it says on the way is looked at below.
        }
      };
      const message = (): void => {
        const request = input.u8() < 0xf0 ? input.pick(REQUESTS) : input.u32();
        feedback.mark(0x4000 + (previous & 63) * 64 + (request & 63));
        previous = request;
        let payload = payloadOf(input, request);
        const fds = fdsFor(input, request, payload);
        const how = input.u8();
        if (how > 0xe8) payload = Buffer.concat([payload.subarray(0, input.u8()), input.take(how & 15)]);
        for (let changes = how >= 0xd0 && how <= 0xe8 ? how & 3 : 0; changes > 0 && payload.length > 0; changes--) {
          payload[input.u8() % payload.length] = input.u8();
        }
        const flags = 1 | (how & 8) | (how > 0xf8 ? input.u8() : 0);
        p.encodeHeader(header, { request, flags, size: how === 0xff ? input.u32() : payload.length });
        // In one piece, or header and payload apart.
        if ((how & 16) === 0) {
          send(Buffer.concat([header, payload]), fds);
        } else {
          send(header, fds);
          deliver();
          send(payload, NO_FDS);
        }
        // Or with the next: a frontend need not wait for what wants no answer.
        if ((how & 4) === 0) deliver();
      };
      /** Everything that a ring needs to run, as it should be. */
      const bringUp = (index: number, base: number, packed: boolean): void => {
        const ask = (request: number, payload: Buffer, fds = NO_FDS): void => {
          p.encodeHeader(header, { request, flags: 1, size: payload.length });
          send(Buffer.concat([header, payload]), fds);
        };
        const region = { guestAddress: 0n, size: BigInt(MEMORY_BYTES), userAddress: USER_BASE, mmapOffset: 0n };
        const at = USER_BASE + BigInt(4096 * index);
        const place = { index, flags: 0, descriptor: at, available: at + 1024n, used: at + 2048n, log: 0n };
        ask(R.SET_FEATURES, p.encodeU64(packed ? 0x5_7000_8000n : 0x1_7000_8000n));
        ask(R.SET_MEM_TABLE, p.encodeMemoryTable([region]), [memoryFd]);
        ask(R.SET_VRING_NUM, p.encodeVringState({ index, num: 16 }));
        ask(R.SET_VRING_BASE, p.encodeVringState({ index, num: base | (packed ? 0x8000 : 0) }));
        ask(R.SET_VRING_ADDR, p.encodeVringAddress(place));
        ask(R.SET_VRING_CALL, p.encodeVringFd(index, true), [events[1]!]);
        ask(R.SET_VRING_KICK, p.encodeVringFd(index, base !== 0), base !== 0 ? [events[0]!] : NO_FDS);
        ask(R.SET_VRING_ENABLE, p.encodeVringState({ index, num: 1 }));
        deliver();
      };
      /** The same message again and again, which is refused: a descriptor that is no eventfd. */
      const flood = (how: number): void => {
        const tell = (request: number, flags: number, payload: Buffer, fds = NO_FDS): void => {
          p.encodeHeader(header, { request, flags: 1 | flags, size: payload.length });
          send(Buffer.concat([header, payload]), fds);
        };
        tell(R.SET_PROTOCOL_FEATURES, 0, p.encodeU64(p.PROTOCOL_F_REPLY_ACK));
        const kind = input.pick([hostile, memoryFd, others[1]!]);
        for (let n = 0; n < 1 + (how & 7) * (MAX_FLOOD / 8) && closed === null; n++) {
          tell(R.SET_VRING_KICK + (how % 3), p.FLAG_NEED_REPLY, p.encodeVringFd(how & 3, true), [kind]);
          deliver();
          try {
            client.receive(replies);
          } catch {
            // It has hung up.
          }
        }
      };
      const useQueues = (): void => {
        const pair = pairs[input.below(pairs.length)]!;
        const how = input.u8();
        const taken = pair.take(burst, 1 + (how & 31));
        check(taken <= MAX_BURST, `${taken} frames taken`);
        if (taken > 0) pairs[0]!.put(burst, indices, taken);
        pair.complete();
        if ((how & 0x40) !== 0) pair.enableKick();
        if ((how & 0x80) !== 0) pair.disableKick();
      };

      try {
        for (let n = 0; n < 48 && input.left > 0 && closed === null; n++) {
          switch (input.below(8)) {
            case 0:
              guest[input.u16() & 4095] = input.u32();
              break;
            case 1:
              useQueues();
              break;
            case 2: {
              const how = input.u8();
              const event = events[how & 1]!;
              // Whoever shares an eventfd may do that to it: a signal or a look at it must not wait.
              if ((how & 0x40) !== 0) fillCounter(event);
              if ((how & 0x80) !== 0) makeBlocking(event);
              // Or to any other file that it has sent.
              if ((how & 0x20) !== 0) {
                const other = kinds[(how >>> 1) & 15]!;
                makeBlocking(other);
                changedFlags.push(other);
              }
              // Somebody kicks, once the backend listens.
              signalEventfd(event);
              for (const [other, handler] of [...reactor.handlers]) if (other !== fd) handler();
              break;
            }
            case 3: {
              const how = input.u8();
              if (how < 16) {
                send(input.take(input.u8()), NO_FDS);
                deliver();
              } else if (how >= 128) bringUp(how & 3, how & 0x0c, (how & 0x40) !== 0);
              else if (how < 64) flood(how);
              break;
            }
            default:
              message();
          }
        }
        deliver();
        const reason: string | null = closed;
        if (reason !== null) checkLine(reason);
        log.close();
        check(logged <= MAX_LOG, `${logged} characters of log`);
        const queues = pairs.map(({ txQueue, rxQueue }) => (txQueue ? 1 : 0) + (rxQueue ? 2 : 0)).join('');
        feedback.mark(Number(queues) * 32 + Math.min(notices, 7) * 2 + (closed === null ? 0 : 1));
      } finally {
        session.dispose();
        software.close();
        client.close();
      }
      guard.end();
      check(reactor.handlers.size === 0, 'something is still watched');
      if (carriesFds) {
        const open = openFds();
        check(open === atFirst, `${open - atFirst} descriptors are still open`);
      }
      const { gaps } = windows as unknown as { gaps: unknown[] };
      check(gaps.length <= 1, 'the window is not whole again');
    };
    return {
      run,
      close: () => {
        for (const fd of [memoryFd, small, hostile, listener, ...events]) closeFile(fd);
        for (const fd of others) closeSync(fd);
        guard.close();
        more.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
};
