/** File descriptors: devices, memfds, eventfds, ioctl. */
import * as c from './constants.js';
import { check, systemError } from './errors.js';
import { native } from './ffi/native.js';

/** Text as C wants it: UTF-8 with a zero at its end. */
export function cString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}

/** Opens a device or file. Throws a {@link SystemError} that names it. */
export function openFile(path: string, flags: number): number {
  return check(native.open(cString(path), flags | c.O_CLOEXEC, 0), 'open', path);
}

/** Closes a file descriptor. If close(2) fails, the caller could not do anything, so no error is reported. */
export function closeFile(fd: number): void {
  native.close(fd);
}

/** Returns another file descriptor of the same open file, closed on exec as all are. */
export function duplicateFile(fd: number, target: string): number {
  return check(native.fcntl(fd, c.F_DUPFD_CLOEXEC, 0), 'fcntl F_DUPFD_CLOEXEC', target);
}

/** ioctl(2) with a structure that the kernel reads or fills. `target` names the device in the error. */
export function ioctl(
  fd: number,
  request: number,
  argument: Uint8Array | number,
  name: string,
  target: string,
): number {
  const result =
    typeof argument === 'number' ? native.ioctlInt(fd, request, argument) : native.ioctlPointer(fd, request, argument);
  return check(result, `ioctl ${name}`, target);
}

/** Makes an anonymous file that is empty and can be sealed. */
export function emptyMemfd(name: string, hugetlb = false): number {
  const flags = c.MFD_CLOEXEC | c.MFD_ALLOW_SEALING | (hugetlb ? c.MFD_HUGETLB : 0);
  return check(native.memfdCreate(cString(name), flags), 'memfd_create', name);
}

/** Makes an anonymous file of `size` bytes, of the default hugepages with `hugetlb` (2 MiB on x86-64). */
export function memfd(name: string, size: number, hugetlb: boolean): number {
  const fd = emptyMemfd(name, hugetlb);
  try {
    check(native.ftruncate(fd, size), 'ftruncate', `${name} to ${size} bytes`);
    // A peer that maps this file must be able to trust its size: a file that shrinks would end the peer with SIGBUS.
    const seals = c.F_SEAL_SHRINK | c.F_SEAL_GROW | c.F_SEAL_SEAL;
    check(native.fcntl(fd, c.F_ADD_SEALS, seals), 'fcntl F_ADD_SEALS', name);
  } catch (error) {
    native.close(fd);
    throw error;
  }
  return fd;
}

/**
 * Returns the seals (F_SEAL_…) of a file of memory: a memfd, or a file of tmpfs or hugetlbfs. Returns `null` for every
 * other file, so this also tells files of memory from files behind a server or a disk. The kernel takes no lock for it
 * (mm/memfd.c, memfd_get_seals). To add a seal, it would wait for the lock of the inode, which others can hold for
 * long.
 */
export function memorySeals(fd: number): number | null {
  const seals = native.fcntl(fd, c.F_GET_SEALS, 0);
  return seals < 0 ? null : seals;
}

/** After so many interruptions the allocation is given up. No machine interrupts one call that often. */
const MAX_INTERRUPTIONS = 1000;

/**
 * Allocates all pages of a file now. When a container's hugepages are limited (cgroup), mmap(2) succeeds beyond the
 * limit, also with MAP_POPULATE, and the first access to a page is a SIGBUS. This fails with ENOSPC instead.
 */
export function allocatePages(fd: number, size: number, target: string): void {
  // A signal (a profiler sends many) interrupts the call. Pages that were allocated stay, so every attempt gets
  // further.
  for (let tries = 0; native.fallocate(fd, 0, 0, size) < 0; tries++) {
    const errno = native.errno();
    if (errno !== c.EINTR || tries === MAX_INTERRUPTIONS) throw systemError('fallocate', target, errno);
  }
}

/** Makes a non-blocking eventfd with the count 0. */
export function eventfd(): number {
  return check(native.eventfd(0, c.EFD_NONBLOCK | c.EFD_CLOEXEC), 'eventfd', 'for notifications');
}

/** Makes an open file non-blocking, for all file descriptors of it, also those that were sent to other processes. */
export function setNonBlocking(fd: number, target: string): void {
  const flags = check(native.fcntl(fd, c.F_GETFL, 0), 'fcntl F_GETFL', target);
  check(native.fcntl(fd, c.F_SETFL, flags | c.O_NONBLOCK), 'fcntl F_SETFL', target);
}

/**
 * read(2) from a non-blocking file descriptor into memory at `address`. Returns the number of bytes, or minus the
 * errno: on the packet path EAGAIN is not worth an exception.
 */
export function readTo(fd: number, address: number, length: number): number {
  const bytes = native.read(fd, address, length);
  return bytes >= 0 ? bytes : -native.errno();
}

/** write(2) of `length` bytes at `address`. Returns the same as {@link readTo}. */
export function writeFrom(fd: number, address: number, length: number): number {
  const bytes = native.write(fd, address, length);
  return bytes >= 0 ? bytes : -native.errno();
}
