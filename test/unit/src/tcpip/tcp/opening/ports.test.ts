import { describe, expect, it } from 'vitest';
import { SourcePorts } from '../../../../../../src/tcpip/tcp/opening/ports.js';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i * i);
const always = (): boolean => true;

describe('source ports', () => {
  it('lie between 32768 and 60999, spread evenly over destinations', () => {
    const ports = new SourcePorts(KEY);
    const buckets = new Array<number>(8).fill(0);
    const destinations = 20_000;
    for (let i = 0; i < destinations; i++) {
      const port = ports.choose(0x0a000000 + i, 443, always);
      expect(port).toBeGreaterThanOrEqual(32_768);
      expect(port).toBeLessThanOrEqual(60_999);
      const bucket = Math.floor(((port - 32_768) * 8) / 28_232);
      buckets[bucket] = buckets[bucket]! + 1;
    }
    // 2500 each; the standard deviation is 47.
    for (const bucket of buckets) expect(Math.abs(bucket - destinations / 8)).toBeLessThan(280);
  });

  it('to one destination come again late, after unequal steps', () => {
    const ports = new SourcePorts(KEY);
    const chosen = Array.from({ length: 3000 }, () => ports.choose(1, 80, always));
    expect(new Set(chosen).size).toBe(3000);
    const steps = new Set(chosen.slice(1).map((port, i) => (port - chosen[i]! + 28_232) % 28_232));
    expect([...steps].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('are only usable ones, and all of them until none is left', () => {
    const ports = new SourcePorts(KEY, 100, 199);
    const used = new Set<number>();
    const isUsable = (remote: number, remotePort: number, port: number): boolean => {
      expect([remote, remotePort]).toEqual([-5, 80]);
      return port % 2 === 0 && !used.has(port);
    };
    for (let i = 0; i < 50; i++) {
      const port = ports.choose(-5, 80, isUsable);
      expect(port % 2).toBe(0);
      expect(port).toBeGreaterThanOrEqual(100);
      expect(port).toBeLessThanOrEqual(199);
      used.add(port);
    }
    expect(used.size).toBe(50);
    expect(ports.choose(-5, 80, isUsable)).toBe(0);
  });

  it('are tried once each when none is usable', () => {
    const tried: number[] = [];
    const ports = new SourcePorts(KEY);
    const port = ports.choose(1, 2, (_remote, _remotePort, local) => {
      tried.push(local);
      return false;
    });
    expect(port).toBe(0);
    expect(tried.length).toBe(28_232);
    expect(new Set(tried).size).toBe(28_232);
  });

  it('depend on the key', () => {
    const a = new SourcePorts(KEY).choose(1, 80, always);
    const b = new SourcePorts(new Uint8Array(16)).choose(1, 80, always);
    expect(a).not.toBe(b);
    expect(new SourcePorts(KEY).choose(1, 80, always)).toBe(a);
  });
});
