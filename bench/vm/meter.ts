/** Frames per second at the host's end of a guest's NIC: the same clock and the same counter for every contestant. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Testpmd } from '../../scripts/testpmd.js';

export interface Meter {
  /** The guest's NIC, for `--netdev`. */
  readonly netdev: string;
  /** Frames a second that cross to or from the guest, over a window from now on. */
  measure(seconds: number): Promise<number>;
  close(): Promise<void>;
}

/** A tap device: the frames that the Linux kernel received from the guest. */
export class TapMeter implements Meter {
  private readonly namespace = NetworkNamespace.create();
  /** Lives in the namespace, so that its counters can be read without a program being started; ends with its input. */
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
    if (packets === undefined) throw new Error(`the tap device is gone from its namespace, which has:\n${devices}`);
    return Number(packets);
  }
}

/** Longer than a period of testpmd's statistics (a second), on a machine that is busy. */
const PERIOD_TIMEOUT_MS = 10_000;
const LOOK_MS = 20;

/**
 * A vhost-user socket with DPDK's vhost library behind: the frames that it took from the guest's Tx ring, or could put into
 * its Rx ring. The latter the guest has received as well, but for a ring's length: testpmd does not count what finds the
 * ring full.
 */
export class VhostMeter implements Meter {
  private readonly folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  private readonly socket = join(this.folder, 'vhost.sock');
  private readonly backend: Testpmd;
  readonly netdev = `vhost-user:${this.socket}`;

  /** @param direction the guest's */
  constructor(private readonly direction: 'tx' | 'rx') {
    this.backend = Testpmd.backend(this.socket, { forward: direction === 'tx' ? 'rxonly' : 'txonly' });
  }

  /** Resolves when the socket is there. */
  started(): Promise<void> {
    return this.backend.started();
  }

  async measure(seconds: number): Promise<number> {
    // The first period began before the window did.
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
