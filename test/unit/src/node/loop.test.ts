import { describe, expect, it } from 'vitest';
import type { Core } from '../../../../src/link/core.js';
import { LinkWatch } from '../../../../src/node/link-watch.js';
import { Loop } from '../../../../src/node/loop.js';
import { Refs } from '../../../../src/node/refs.js';
import type { TcpIp } from '../../../../src/tcpip/index.js';
import { until } from '../../../support/until.js';

/** A loop over a core that never has packets. */
class IdleLoop {
  looks = 0;
  polls = 0;
  sleeps = 0;
  readonly refs = new Refs();
  readonly end = new AbortController();
  readonly ended: Promise<void>;
  private wake: (packets: number) => void = () => {};

  constructor(idle: Core['idle'], isReferenced = true) {
    const core = {
      idle,
      isLinkUp: true,
      wake: () => this.wake(0),
      waitForPackets: () => {
        this.sleeps++;
        return new Promise<number>((resolve) => {
          this.wake = resolve;
        });
      },
    };
    const stack = { defer: false, maxSleepMs: () => 1000, poll: () => this.poll() };
    const link = new LinkWatch(core, () => {});
    const look = link.look.bind(link);
    link.look = () => {
      this.looks++;
      look();
    };
    if (isReferenced) this.refs.ref();
    this.ended = new Loop(core as unknown as Core, stack as unknown as TcpIp, this.refs, link).run(this.end.signal);
  }

  wakeUp(): void {
    this.wake(0);
  }

  async stop(): Promise<void> {
    this.end.abort();
    await this.ended;
    this.refs.close();
  }

  private poll(): number {
    this.polls++;
    return 0;
  }
}

describe('Loop', () => {
  it('looks at the link also when it never sleeps', async () => {
    const loop = new IdleLoop('spin');
    await until('some polls', () => loop.polls > 10);
    expect(loop.sleeps).toBe(0);
    expect(loop.looks).toBeGreaterThan(5);
    await loop.stop();
  });

  it.each([true, false])('polls after the promises of who has woken it; referenced: %s', async (isReferenced) => {
    const loop = new IdleLoop('adaptive', isReferenced);
    await until('it sleeps', () => loop.sleeps > 0);
    const { polls } = loop;
    loop.wakeUp();
    for (let i = 0; i < 100; i++) await null;
    expect(loop.polls).toBe(polls);
    await until('it polls', () => loop.polls > polls);
    await loop.stop();
  });

  it('ends while it sleeps', async () => {
    const loop = new IdleLoop('adaptive');
    await until('it sleeps', () => loop.sleeps > 0);
    await loop.stop();
  });
});
