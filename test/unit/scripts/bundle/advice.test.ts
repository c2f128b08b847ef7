/** The advice about drops: the live page has it from docs/observe.md. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NET_COUNTERS } from '../../../../drivers/net-device.js';
import { dropsIn } from '../../../../observe/page/browser/model/look-at-port.js';
import { lookAtSwitch } from '../../../../observe/page/browser/model/look-at-switch.js';
import { TUNNEL_REASONS } from '../../../../observe/page/browser/model/switch-drops.js';
import { adviceIn } from '../../../../scripts/bundle/advice.js';
import { L2_COUNTERS } from '../../../../src/counters.js';

const advice = adviceIn(readFileSync(new URL('../../../../docs/observe.md', import.meta.url), 'utf8'));

describe('the advice in docs/observe.md', () => {
  it('is there for every reason for which a port drops packets', () => {
    const counters = Object.fromEntries([...L2_COUNTERS, ...NET_COUNTERS].map((name) => [name, 1]));
    const drops = dropsIn(counters);
    expect(drops.length).toBeGreaterThan(40);
    expect(drops.filter(({ scope, reason }) => !advice[scope]?.[reason]).map(({ key }) => key)).toEqual([]);
  });

  it('is there for every reason for which a switch drops packets', () => {
    const dropped = { total: 0, full: 1, noPeer: 1, interfaceDown: 1, unknownDestination: 1, deadend: 1, sink: 1 };
    const summary = { received: 1, generated: 1, forwarded: 1, dropped };
    const worker = { busy: 0, idle: 0, asleep: false };
    const counters = { ...Object.fromEntries(Object.keys(TUNNEL_REASONS).map((name) => [name, 1])), cut: 1 };
    const modules = [{ name: 'd', class: 'VXLANDecap', desc: '', gates: [], deadends: 0, counters }];
    const { drops } = lookAtSwitch(1, { summary, worker, ports: {}, modules });
    expect(drops).toHaveLength(6 + Object.keys(TUNNEL_REASONS).length);
    expect(drops.filter(({ scope, reason }) => !advice[scope]?.[reason])).toEqual([]);
  });

  it('is read from tables with such a head only', () => {
    const page =
      '| x: reason | what to do |\n| -- | -- |\n| `a`, `b` | do `this` |\n\n| reason | what to do |\n| `c` | no |\n';
    expect(adviceIn(page)).toEqual({ x: { a: 'do `this`', b: 'do `this`' } });
    expect(() => adviceIn('# none\n')).toThrow('no table of reasons');
  });
});
