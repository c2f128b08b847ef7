/**
 * The foreign-function layer: errors that name call and target, sockets that carry descriptors, descriptors that are
 * made and closed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  abi,
  acceptUnix,
  closeFile,
  connectUnix,
  eventfd,
  interfaceState,
  ioctl,
  listenUnix,
  MAX_FDS,
  MessageSocket,
  memfd,
  nameThread,
  openFile,
  pinThread,
  readSocketOption,
  SystemError,
  setSocketOption,
} from '../../../../drivers/libc/index.js';
import { openFds, temporaryDirectory } from '../../../support/resources.js';

let directory: ReturnType<typeof temporaryDirectory>;
let before = 0;
/** Descriptors that are closed after the test. */
let owned: number[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
  owned = [];
  before = openFds();
});

afterEach(() => {
  for (const fd of owned) closeFile(fd);
  expect(openFds()).toBe(before);
  directory.remove();
});

function own(fd: number): number {
  owned.push(fd);
  return fd;
}

/** The SystemError that `action` throws. */
function systemErrorOf(action: () => unknown): SystemError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(SystemError);
    return error as SystemError;
  }
  throw new Error('nothing was thrown');
}

/** Two connected sockets over a path that no other test has. */
function socketPair(): [MessageSocket, MessageSocket] {
  const path = `${directory.path}/s`;
  const listener = own(listenUnix(path));
  const near = new MessageSocket(own(connectUnix(path)), 'near');
  const accepted = acceptUnix(listener, path);
  if (accepted === null) throw new Error('no connection waits');
  return [near, new MessageSocket(own(accepted), 'far')];
}

/** Identity of an open file, equal for every descriptor of it. */
function inode(fd: number): string {
  return /^ino:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? 'none';
}

describe('SystemError', () => {
  it('names the call, its target, the errno and the reason, in one line', () => {
    const error = systemErrorOf(() => openFile('/nonexistent/device', abi.O_RDWR));
    expect(error).toMatchObject({ syscall: 'open', target: '/nonexistent/device', errno: 2, code: 'ENOENT' });
    expect(error.name).toBe('SystemError');
    expect(error.message).toBe('open /nonexistent/device: no such file or directory (ENOENT)');
  });

  it('names the request of an ioctl and the device', () => {
    const fd = own(openFile('/dev/null', abi.O_RDWR));
    expect(systemErrorOf(() => ioctl(fd, 0x3b64, 0, 'VFIO_GET_API_VERSION', '/dev/null')).message).toBe(
      'ioctl VFIO_GET_API_VERSION /dev/null: inappropriate ioctl for device (ENOTTY)',
    );
  });
});

describe('memfd', () => {
  it('has its size, and a peer that maps it can neither shrink nor grow it', () => {
    const fd = own(memfd('libc-test', 8192, false));
    expect(() => writeFileSync(`/proc/self/fd/${fd}`, new Uint8Array(8192), { flag: 'r+' })).not.toThrow();
    expect(() => writeFileSync(`/proc/self/fd/${fd}`, new Uint8Array(8193), { flag: 'r+' })).toThrow();
    expect(readFileSync(`/proc/self/fd/${fd}`).length).toBe(8192);
  });

  it('leaves no descriptor behind when its size is refused', () => {
    expect(systemErrorOf(() => memfd('libc-test', -1, false)).code).toBe('EINVAL');
  });
});

describe('unix sockets', () => {
  it('carry bytes both ways; nothing to read is null, the end is 0 bytes', () => {
    const [near, far] = socketPair();
    const into = Buffer.from(new ArrayBuffer(16));
    expect(far.receive(into)).toBeNull();
    expect(near.send(Buffer.from(new ArrayBuffer(3)).fill('abc'))).toBe(true);
    expect(far.receive(into)).toEqual({ bytes: 3, fds: [], truncated: false });
    expect(into.toString('latin1', 0, 3)).toBe('abc');
    far.send(Buffer.from(new ArrayBuffer(1)));
    expect(near.receive(into)?.bytes).toBe(1);
    near.close();
    owned.splice(owned.indexOf(near.fd), 1);
    expect(far.receive(into)?.bytes).toBe(0);
    expect(systemErrorOf(() => far.send(into)).code).toBe('EPIPE');
  });

  it.each([1, 3, MAX_FDS])('carry %d descriptors, which are new ones of the same files', (count) => {
    const [near, far] = socketPair();
    const sent = Array.from({ length: count }, (_, i) => own(memfd(`file-${i}`, 4096, false)));
    near.send(Buffer.from(new ArrayBuffer(4)), sent);
    const received = far.receive(Buffer.from(new ArrayBuffer(64)));
    for (const fd of received?.fds ?? []) own(fd);
    expect(received?.truncated).toBe(false);
    expect(received?.fds.map(inode)).toEqual(sent.map(inode));
    for (const fd of received?.fds ?? []) expect(sent).not.toContain(fd);
  });

  it('keep the descriptors of one message apart from the bytes of the next', () => {
    const [near, far] = socketPair();
    const fd = own(eventfd());
    near.send(Buffer.from(new ArrayBuffer(4)), []);
    near.send(Buffer.from(new ArrayBuffer(4)), [fd]);
    const first = far.receive(Buffer.from(new ArrayBuffer(4)));
    const second = far.receive(Buffer.from(new ArrayBuffer(4)));
    for (const received of second?.fds ?? []) own(received);
    expect([first?.fds.length, second?.fds.length]).toEqual([0, 1]);
  });

  it('refuse to send more descriptors than fit', () => {
    const [near] = socketPair();
    expect(() => near.send(Buffer.from(new ArrayBuffer(1)), new Array(MAX_FDS + 1).fill(0))).toThrow(
      'near: 9 file descriptors in a message; at most 8',
    );
  });

  it('return false, not an error, when the peer does not read', () => {
    const [near] = socketPair();
    const chunk = Buffer.from(new ArrayBuffer(4096));
    let sent = 0;
    while (sent < 10_000 && near.send(chunk)) sent++;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(10_000);
  });

  it('refuse an empty path and one too long for the kernel before they open a file', () => {
    for (const path of ['', 'x'.repeat(108)]) {
      expect(() => connectUnix(path)).toThrow(/a unix socket takes 1 to 107/);
      expect(() => listenUnix(path)).toThrow(/a unix socket takes 1 to 107/);
    }
    expect(systemErrorOf(() => connectUnix('y'.repeat(107))).code).toBe('ENOENT');
  });

  it('leave no descriptor behind when bind or connect fails', () => {
    const path = `${directory.path}/taken`;
    const listener = own(listenUnix(path));
    expect(acceptUnix(listener, path)).toBeNull();
    expect(systemErrorOf(() => listenUnix(path))).toMatchObject({ syscall: 'bind', code: 'EADDRINUSE', target: path });
    expect(systemErrorOf(() => connectUnix(`${path}.none`))).toMatchObject({ syscall: 'connect', code: 'ENOENT' });
    expect(systemErrorOf(() => acceptUnix(own(eventfd()), path))).toMatchObject({ syscall: 'accept', target: path });
  });
});

describe('any socket', () => {
  const socket = (): number => {
    const fd = listenUnix(`${directory.path}/s`);
    owned.push(fd);
    return fd;
  };

  it('has options of 32-bit words', () => {
    const fd = socket();
    const size = new Uint32Array(new ArrayBuffer(4));
    setSocketOption(fd, abi.SOL_SOCKET, abi.SO_SNDBUF, [20_000], 'SO_SNDBUF', 's');
    expect(readSocketOption(fd, abi.SOL_SOCKET, abi.SO_SNDBUF, size)).toBe(0);
    // The kernel doubles it (socket(7)).
    expect(size[0]).toBe(40_000);
    expect(readSocketOption(fd, abi.SOL_PACKET, abi.PACKET_STATISTICS, size)).not.toBe(0);
    expect(() => setSocketOption(fd, abi.SOL_PACKET, abi.PACKET_VNET_HDR, [1], 'PACKET_VNET_HDR', 's')).toThrow(
      /^setsockopt PACKET_VNET_HDR s: .*\(E\w+\)$/,
    );
  });

  it('tells the state of an interface, or that there is none', () => {
    const fd = socket();
    expect(interfaceState(fd, 'lo')).toMatchObject({ isUp: true, isRunning: true, mtu: 65536, isEthernet: false });
    expect(interfaceState(fd, 'nowhere0')).toBeNull();
    expect(() => interfaceState(-1, 'lo')).toThrow(/^ioctl SIOCGIFINDEX lo: .*\(EBADF\)$/);
  });
});

describe('threads', () => {
  it.each([-1, 1024, 1.5, Number.NaN])('refuses core %d as no core number', (core) => {
    expect(() => pinThread(core)).toThrow(/not a core number \(0 to 1023\)/);
  });

  it('names a core that the machine does not have', () => {
    expect(systemErrorOf(() => pinThread(1023))).toMatchObject({ syscall: 'sched_setaffinity', target: 'core 1023' });
  });

  it('gives a thread a name that top shows, cut to what the kernel keeps', () => {
    nameThread('tspmd-rx-of-a-long-name');
    expect(readFileSync('/proc/thread-self/comm', 'utf8')).toBe('tspmd-rx-of-a-l\n');
  });
});
