import { describe, expect, it } from 'vitest';
import { growth, kibOf, readMemory, socketBuffers } from '../../../../../bench/tcp/idle/memory.js';

describe('the memory of idle connections', () => {
  it('is read from the lines of /proc', () => {
    expect(kibOf('Slab:             10 kB\nSUnreclaim:      70468 kB\n', 'SUnreclaim')).toBe(70_468 * 1024);
    expect(socketBuffers('sockets: used 64\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 3\n')).toBe(3 * 4096);
    expect(() => kibOf('Slab: 10 kB\n', 'RssAnon')).toThrow('no RssAnon');
    expect(() => socketBuffers('')).toThrow('no memory of TCP');
  });

  it('is that of this process and this machine', () => {
    const memory = readMemory(process.pid);
    expect(memory.process).toBeGreaterThan(2 ** 20);
    expect(memory.slab).toBeGreaterThan(2 ** 20);
    expect(memory.buffers).toBeGreaterThanOrEqual(0);
  });

  it('is counted per connection, and never below 0', () => {
    const before = { process: 1000, slab: 500, buffers: 10 };
    expect(growth(before, { process: 3000, slab: 400, buffers: 10 }, 2)).toEqual({
      process: 1000,
      slab: 0,
      buffers: 0,
    });
  });
});
