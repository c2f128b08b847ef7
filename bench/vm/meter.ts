/**
 * Measures frames per second at the host's end of a guest's NIC, with the same clock and counter for every contestant.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Testpmd } from '../../scripts/testpmd.js';

export interface Meter {
  /** The `--netdev` of the guest's NIC. */
  readonly netdev: string;
  /** Returns the frames per second to or from the guest in a window that begins now. */
  measure(seconds: number): Promise<number>;
  close(): Promise<void>;
}

/** A tap device. It counts the frames that the Linux kernel gets from the guest. */
export class TapMeter implements Meter {
  private readonly namespace = NetworkNamespace.create();
  /** A process in the namespace, through whose /proc folder the counters are read. It ends with its input. */
  private readonly anchor: Child;
  readonly netdev = `tap:tap0@${this.namespace.name}`;

  constructor() {
    try {
      this.namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
      this.namespace.ip('link', 'set', 'tap0', 'up');
      this.anchor = this.namespace.spawn('cat');
    } catch (error) {
      this.namespace.remove();
      throw error;
    }
  }

  async measure(seconds: number): Promise<number> {
    const before = this.received();
    const start = performance.now();
    await sleep(seconds * 1000);
    const frames = this.received() - before;
    return frames / ((performance.now() - start) / 1000);
  }

  async close(): Promise<void> {
    await this.anchor.stop();
    this.namespace.remove();
  }

  private received(): number {
    const devices = readFileSync(`/proc/${this.anchor.pid}/net/dev`, 'utf8');
    const packets = devices.match(/^ *tap0: *\d+ +(\d+)/m)?.[1];
    if (packets === undefined) throw new Error(`the namespace has no tap device any more; it has:\n${devices}`);
    return Number(packets);
  }
}

/** How long testpmd may take to print statistics, in ms. The period is a second; a busy machine takes longer. */
const PERIOD_TIMEOUT_MS = 10_000;
const LOOK_MS = 20;

/**
 * A backend with DPDK's vhost library. It counts the frames that it takes from the guest's Tx ring, or puts into the
 * guest's Rx ring. testpmd does not count frames that find the Rx ring full, so the guest has received all counted
 * frames except those that are still in the ring.
 */
export class VhostMeter implements Meter {
  private readonly folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  private readonly socket = join(this.folder, 'vhost.sock');
  private readonly backend: Testpmd;
  readonly netdev = `vhost-user:${this.socket}`;

  /** @param direction seen from the guest */
  constructor(private readonly direction: 'tx' | 'rx') {
    this.backend = Testpmd.backend(this.socket, { forward: direction === 'tx' ? 'rxonly' : 'txonly' });
  }

  /** Resolves when the socket exists. */
  started(): Promise<void> {
    return this.backend.started();
  }

  async measure(seconds: number): Promise<number> {
    // The current period began before the window.
    const first = this.backend.rates().length + 1;
    const periods = Math.max(1, Math.round(seconds));
    const deadline = performance.now() + seconds * 1000 + PERIOD_TIMEOUT_MS;
    while (this.backend.rates().length < first + periods) {
      if (performance.now() > deadline) throw new Error(`testpmd prints no rates:\n${this.backend.child.output}`);
      await sleep(LOOK_MS);
    }
    const rates = this.backend.rates().slice(first, first + periods);
    return rates.reduce((sum, { rx, tx }) => sum + (this.direction === 'tx' ? rx : tx), 0) / periods;
  }

  async close(): Promise<void> {
    await this.backend.child.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
