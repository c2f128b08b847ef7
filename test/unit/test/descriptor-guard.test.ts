/** The guard of the vhost-user fuzz targets sees each mistake that it is there for. */
import { closeSync, fstatSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  acceptUnix,
  closeFile,
  connectUnix,
  listenUnix,
  MessageSocket,
  memorySeals,
  setNonBlocking,
} from '../../../drivers/libc/index.js';
import { DescriptorGuard } from '../../fuzz/descriptor-guard.js';
import { DescriptorKinds } from '../../support/libc/descriptor-kinds.js';
import { openFds, temporaryDirectory } from '../../support/resources.js';

let kinds: DescriptorKinds;
let directory: { path: string; remove: () => void };
let listener: number;
let peer: MessageSocket;
let receiver: MessageSocket;
let guard: DescriptorGuard;

beforeEach(() => {
  kinds = new DescriptorKinds();
  directory = temporaryDirectory();
  const path = `${directory.path}/s`;
  listener = listenUnix(path);
  peer = new MessageSocket(connectUnix(path), 'peer');
  receiver = new MessageSocket(acceptUnix(listener, path)!, 'receiver');
  guard = new DescriptorGuard();
  guard.begin(receiver.fd);
});

afterEach(() => {
  guard.close();
  peer.close();
  receiver.close();
  closeFile(listener);
  kinds.close();
  directory.remove();
});

function receive(kind: string): number {
  peer.send(Buffer.from(new ArrayBuffer(1)), [kinds.byKind[kind]!]);
  return receiver.receive(Buffer.from(new ArrayBuffer(1)))!.fds[0]!;
}

it('lets pass what is meant for the kind, and a close by the closer', () => {
  const before = openFds();
  const fd = receive('unsealed');
  expect(memorySeals(fd)).toBe(0);
  expect(fstatSync(fd).size).toBeGreaterThan(0);
  const other = receive('TCP socket');
  expect(memorySeals(other)).toBeNull();
  for (const one of [fd, other]) guard.closer.close(one);
  guard.end();
  expect(openFds()).toBe(before);
});

it.each<[string, string, (fd: number) => void]>([
  ['fstat of what is no memory', 'directory', (fd) => fstatSync(fd)],
  ['a change of the flags of what is no eventfd', 'full pipe', (fd) => setNonBlocking(fd, 'it')],
  ['a signal to what is no eventfd', 'full pipe', (fd) => guard.expectEventfd(fd, 'signal')],
])('tells %s', (_, kind, mistake) => {
  const fd = receive(kind);
  mistake(fd);
  guard.closer.close(fd);
  expect(() => guard.end()).toThrow(/of a descriptor that the peer sent: "/);
});

it.each<[string, (fd: number) => void]>([
  ['by the C library', closeFile],
  ['by Node', (fd) => closeSync(fd)],
])('tells a close %s that goes past the closer', (_, close) => {
  close(receive('epoll'));
  expect(() => guard.end()).toThrow(/close(Sync)? of a descriptor that the peer sent: "anon_inode/);
});

it('tells a descriptor that was not closed, and one that was closed twice', () => {
  const fd = receive('device');
  expect(() => guard.end()).toThrow('1 descriptors of the peer were not closed');
  guard.closer.close(fd);
  guard.closer.close(fd);
  expect(() => guard.end()).toThrow(`descriptor ${fd} was closed twice`);
});

it('makes all calls as they were once it is closed', () => {
  guard.close();
  const fd = receive('device');
  closeSync(fd);
  guard.end();
});
