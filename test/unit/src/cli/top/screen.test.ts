/** What `tspmd top` shows, as whole screens. */
import { describe, expect, it } from 'vitest';
import type { ProcessStats } from '../../../../../observe/control/process-info.js';
import { History } from '../../../../../src/cli/top/history.js';
import { cleanProcess, readingOf } from '../../../../../src/cli/top/reading.js';
import { factsOf, type Picture, type Size, screenOf } from '../../../../../src/cli/top/screen.js';
import { painter, plain, span, widthOf } from '../../../../../src/cli/top/text.js';
import { readConnections, readFlows } from '../../../../../src/cli/top/traffic.js';
import { firstView, press, type View } from '../../../../../src/cli/top/view.js';
import type { Watched } from '../../../../../src/cli/top/watcher.js';
import { connections, flows, portStats, switchStats } from '../../../../support/observe/top-samples.js';

const USUAL: Size = { columns: 80, rows: 24 };

/** A process after some seconds of the same. */
function watched(statsAt: (second: number) => ProcessStats, more: Partial<Watched> = {}, seconds = 5): Watched {
  const history = new History(1);
  let rates = null;
  for (let second = 0; second < seconds; second++) rates = history.next(readingOf(statsAt(second))!);
  const { process } = statsAt(seconds - 1);
  const file = { kind: process.kind, pid: process.pid, path: `/run/${process.pid}.sock`, owner: 0 };
  return {
    ...{ key: file.path, file, about: cleanProcess(process), rates, slots: history.slots },
    ...{ problem: null, hasEnded: false, since: 0, flows: readFlows(flows), connections: readConnections(connections) },
    ...more,
  };
}

const web = watched(portStats);
const bess = watched(switchStats, { flows: { problem: "there is no command 'flows'" }, connections: null });

const picture = (processes: readonly Watched[], process: Watched | null, more: Partial<View> = {}): Picture => ({
  ...{ processes, interval: 1, news: null },
  view: { ...firstView(process?.key ?? null), ...more },
});

const textOf = (of: Picture, size = USUAL): string => `\n${screenOf(of, size).map(plain).join('\n')}\n`;

/** The picture after these keys. */
function pressed(first: Picture, ...keys: string[]): Picture {
  let now = first;
  for (const key of keys) now = { ...now, view: press(now.view, key, factsOf(now)) };
  return now;
}

describe('the screen of top', () => {
  it('shows a port with its threads, drops, flows and connections', () => {
    expect(textOf(picture([web], web))).toMatchInlineSnapshot(`
      "
      web  run 4711  10.0.0.1/24  2kb  up 3 min 9 s  vhost-user:/run/vm1.so… every 1 s

      ▌Port
       name      in pps   bit/s  minute        out pps   bit/s  minute        drops/s
       port0      1.20M   9.60G            █      600k    307M            █       120
       Threads  rows 1-3 of 4
       name        busy  minute        rx pps   tx pps   rx_queue   tx_queue   drops/s
       core 0       25%            ▂     300k     150k         1%         0%         0
       core 1       75%            ▆     900k     450k  ███▉  98%         0%       120
       Tx worker    97%            █        0     600k                               0
       Drops
       reason               drops/s▾    total  means
       rx_drop_queue_full        120      480  the rx_queue of the core was full: the…
       rx_drop_ipv6                0        7  IPv6
       Flows  largest, sampled
       way   proto   source           destination         pps  bit/s▾
       in    tcp     10.0.0.2:40000   10.0.0.1:80        900k   8.80G
       out   tcp     10.0.0.1:80      10.0.0.2:40000     450k    232M
       Connections  first 3 of 4321
       remote          state         rtt ms    cwnd  flight   unsent   retrans  bytes▾
       10.0.0.2:40001  ESTABLISHED     38.4   14.5k   2.90k     120k         3    240M
       10.0.0.2:40000  ESTABLISHED    0.184   14.5k       0        0         0    240M
       10.0.0.2:40002  CLOSE-WAIT     0.184   14.5k       0        0         0      30
      q quit  ? help  tab section  ↑↓ row  enter choose  s sort  space pause
      "
    `);
  });

  it('shows more on a wide terminal', () => {
    expect(textOf(picture([web], web), { columns: 150, rows: 30 })).toMatchInlineSnapshot(`
      "
      web  run 4711  10.0.0.1/24  2kb  up 3 min 9 s  vhost-user:/run/vm1.sock                                                                      every 1 s

      ▌Port
       name      in pps   bit/s  minute                           out pps   bit/s  minute                           drops/s
       port0      1.20M   9.60G                              ██      600k    307M                              ██       120

       Threads
       name        busy              minute                           rx pps   tx pps   rx_queue   tx_queue   held   drops/s
       core 0       25%  ██▌                                     ▂▂     300k     150k         1%         0%     15         0
       core 1       75%  ███████▌                                ▆▆     900k     450k  ███▉  98%         0%    512       120
       Tx worker    97%  █████████▊                              ██        0     600k                            0         0
       Rx worker    97%  █████████▊                              ██    1.20M        0                            0         0

       Drops
       reason               drops/s▾    total  means
       rx_drop_queue_full        120      480  the rx_queue of the core was full: the core is too slow
       rx_drop_ipv6                0        7  IPv6

       Flows  largest, sampled
       way   proto   source           destination         pps  bit/s▾
       in    tcp     10.0.0.2:40000   10.0.0.1:80        900k   8.80G
       out   tcp     10.0.0.1:80      10.0.0.2:40000     450k    232M

       Connections  first 3 of 4321
       remote          local        state         rtt ms    ± ms     min    cwnd  window  flight   unsent   retrans  bytes▾  control  core
       10.0.0.2:40001  10.0.0.1:80  ESTABLISHED     38.4    9.50   0.090   14.5k   65.5k   2.90k     120k         3    240M  cubic       1
       10.0.0.2:40000  10.0.0.1:80  ESTABLISHED    0.184   0.021   0.090   14.5k   65.5k       0        0         0    240M  cubic       0
       10.0.0.2:40002  10.0.0.1:80  CLOSE-WAIT     0.184   0.021   0.090   14.5k   65.5k       0        0         0      30  cubic       1

      q quit  ? help  tab section  ↑↓ row  enter choose  s sort  space pause  r reverse  esc back
      "
    `);
  });

  it('is usable with 40 columns', () => {
    expect(textOf(picture([web], web), { columns: 40, rows: 20 })).toMatchInlineSnapshot(`
      "
      web  run 4711  10.0.0.1/24  2… every 1 s

      ▌Port
       name      in pps   out pps   drops/s
       port0      1.20M      600k       120
       Threads  rows 1-2 of 4
       name        busy   rx pps   drops/s
       core 0       25%     300k         0
       core 1       75%     900k       120
       Drops
       reason               drops/s▾    total
       rx_drop_queue_full        120      480
       rx_drop_ipv6                0        7
       Flows  largest, sampled, rows 1-1 of 2
       source          destination      bit/s▾
       10.0.0.2:40000  10.0.0.1:80       8.80G
       Connections  first 3 of 4321, rows 1-1
       remote           rtt ms  bytes▾
       10.0.0.2:40001     38.4    240M
      q quit  ? help  tab section  ↑↓ row
      "
    `);
  });

  it('shows a switch with its ports, modules and gates', () => {
    expect(textOf(picture([bess], bess))).toMatchInlineSnapshot(`
      "
      forward_script  switch 815  up 1 min 44 s  /run/vm1.sock /run/vm2.sock every 1 s
      port vm2: its memory has shrunk: start the VM again

      ▌Ports
       name    link     in pps   bit/s  minute     out pps   bit/s  minute     drops/s
       vm1     up        50.0k    600M         █     50.0k    600M         █         2
       vm2     down          0       0         ▁     50.0k    600M         █         0
       Thread
       name        busy              minute                  rx pps   tx pps   drops/s
       switch       62%  ██████▎                        ▅▅    50.0k     100k         2
       Drops
       reason               drops/s▾    total  means
       in_badLength                2        8
       peer_full                   0        4  the peer takes packets more slowly tha…
       no_peer                     0        5  no peer is connected to the port
       Modules
       module      class      gate              pps   bit/s  minute            packets
       vm1_in      QueueInc   0 → fwd         50.0k    600M                █      200k
       fwd         L2Forward  1 → vm2_out     50.0k    600M                █      200k
       fwd         L2Forward  2 → flood           0       0                ▁         0
       fwd         L2Forward  unconnected         0       0                ▁         3
       Flows  there is no command 'flows'

      q quit  ? help  tab section  ↑↓ row  enter choose  s sort  space pause
      "
    `);
  });

  it('shows several processes as a list', () => {
    const gone = watched(portStats, { hasEnded: true, key: 'gone' });
    expect(
      textOf({ ...picture([bess, web, gone], null), news: 'run 7 (old) has ended' }, { columns: 80, rows: 9 }),
    ).toMatchInlineSnapshot(`
      "
      tspmd top  2 running                                                   every 1 s
      run 7 (old) has ended

      ▌Processes  3
       name       kind        pid    in pps   bit/s   out pps   bit/s   drops/s   busy
       forward_…  switch      815     50.0k    600M      100k   1.20G         2    62%
       web        run        4711     1.20M   9.60G      600k    307M       120    97%
       web        run        4711     1.20M   9.60G      600k    307M       120    97%
      q quit  ? help  tab section  ↑↓ row  enter choose  s sort  space pause
      "
    `);
  });

  it('says why a process shows nothing new', () => {
    const silent = watched(portStats, { rates: null, problem: 'run 4711 does not answer (waited 3 s)' });
    expect(textOf(picture([silent], silent), { columns: 80, rows: 5 })).toContain('does not answer');
    const gone = watched(portStats, { hasEnded: true });
    expect(textOf(picture([gone], gone))).toContain('run 4711 has ended; waiting for another one named web');
    const first = watched(portStats, { rates: null });
    expect(textOf(picture([first], first))).toContain('waiting for its first answer');
  });

  it('explains the keys', () => {
    expect(textOf(pressed(picture([web], web), '?'), { columns: 80, rows: 18 })).toMatchInlineSnapshot(`
      "
      web  run 4711  10.0.0.1/24  2kb  up 3 min 9 s  vhost-user:/run/vm1.so… every 1 s

      Keys
        ↑ ↓  PgUp PgDn  choose a row
        tab, shift-tab  next or previous section
        enter           show the process; only drops, flows, … of the port or thread
        esc, ←          back: to all ports and threads, to the list
        s  < >          sort by the next column; by the previous or next one
        r               reverse the order
        space           pause, and go on
        q, Ctrl-C       quit

      Charts show the last minute up to now, each with a scale of its own.
      docs/observe.md says what each counter means, and what to do about drops.

      any key: back

      q quit  ? help  tab section  ↑↓ row  enter choose  s sort  space pause
      "
    `);
    expect(textOf(pressed(picture([web], web), '?', 'x'))).toBe(textOf(picture([web], web)));
  });

  it('is about one core when that is chosen', () => {
    const chosen = pressed(picture([web], web), 'tab', 'down', 'enter');
    expect(textOf(chosen)).toMatchInlineSnapshot(`
      "
      web  run 4711  10.0.0.1/24  2kb  up 3 min 9 s  vhost-user:/run/vm1.so… every 1 s

       Port
       name      in pps   bit/s  minute        out pps   bit/s  minute        drops/s
       port0      1.20M   9.60G            █      600k    307M            █       120
      ▌Threads
       name        busy  minute        rx pps   tx pps   rx_queue   tx_queue   drops/s
       core 0       25%            ▂     300k     150k         1%         0%         0
      ●core 1       75%            ▆     900k     450k  ███▉  98%         0%       120
       Tx worker    97%            █        0     600k                               0
       Rx worker    97%            █    1.20M        0                               0
       Drops  of core 1
       reason               drops/s▾    total  means
       rx_drop_queue_full        120      480  the rx_queue of the core was full: the…
       Flows  of core 1, largest, sampled
       way   proto   source           destination         pps  bit/s▾
       in    tcp     10.0.0.2:40000   10.0.0.1:80        900k   8.80G
       out   tcp     10.0.0.1:80      10.0.0.2:40000     450k    232M
       Connections  of core 1, first 3 of 4321
       remote          state         rtt ms    cwnd  flight   unsent   retrans  bytes▾
       10.0.0.2:40001  ESTABLISHED     38.4   14.5k   2.90k     120k         3    240M
       10.0.0.2:40002  CLOSE-WAIT     0.184   14.5k       0        0         0      30

      q quit  ? help  tab section  ↑↓ row  enter choose  s sort  space pause
      "
    `);
    expect(textOf(pressed(chosen, 'escape'))).toContain('10.0.0.2:40000');
  });

  it('sorts the section with the focus', () => {
    const byRtt = pressed(picture([web], web), 'shift-tab', '<', '<', '<');
    expect(byRtt.view.sorts.connections).toEqual({ column: 'rtt', isReversed: false });
    const order = (of: Picture) => [...textOf(of).matchAll(/^ ?10\.0\.0\.2:(4000\d)/gm)].map(([, port]) => port);
    expect(order(byRtt)).toEqual(['40001', '40000', '40002']);
    expect(order(pressed(byRtt, 'r'))).toEqual(['40000', '40002', '40001']);
    expect(textOf(pressed(byRtt, 'r'))).toContain('rtt ms▴');
  });

  it('keeps the selected row in sight, and follows it when the order changes', () => {
    const many = {
      total: 300,
      connections: Array.from({ length: 100 }, (_, i) => ({ remote: `10.9.0.${i}:1`, rtt: i, bytesIn: 100 - i })),
    };
    const busy = watched(portStats, { connections: readConnections(many) });
    const last = pressed(picture([busy], busy), 'shift-tab', 'end');
    expect(textOf(last)).toContain('10.9.0.99:1');
    expect(textOf(last)).toMatch(/Connections {2}first 100 of 300, rows \d+-100$/m);
    const selected = (of: Picture) =>
      screenOf(of, USUAL)
        .filter(({ isSelected }) => isSelected)
        .map(plain);
    expect(selected(last)).toEqual([expect.stringContaining('10.9.0.99:1')]);
    const byRtt = { ...last, view: { ...last.view, sorts: { connections: { column: 'rtt', isReversed: false } } } };
    expect(selected(byRtt)).toEqual([expect.stringContaining('10.9.0.99:1')]);
  });

  it('pauses, and goes back to the list', () => {
    const paused = pressed(picture([web, bess], web), 'space');
    expect(textOf(paused)).toMatch(/paused$/m);
    expect(textOf(pressed(paused, 'space', 'left'))).toMatch(/^.Processes/m);
    expect(pressed(paused, 'left', 'down', 'enter').view.process).toBe(bess.key);
  });

  it('fits into any size', () => {
    for (let columns = 1; columns <= 200; columns += 13) {
      for (let rows = 1; rows <= 60; rows += 9) {
        for (const of of [picture([web], web), picture([bess], bess), picture([web, bess], null)]) {
          const lines = screenOf(of, { columns, rows });
          expect(lines.length).toBeLessThanOrEqual(rows);
          for (const { spans } of lines)
            expect(
              spans.reduce((sum, { text }) => sum + widthOf(text), 0),
              `${columns}`,
            ).toBeLessThanOrEqual(columns);
        }
      }
    }
  });

  it('shows hostile and wide names as text of the right width', () => {
    const name = '\x1b[2J\x07\r\n漢字\u202e名\u0301';
    const hostile = watched((second) => {
      const { process, switch: value } = switchStats(second);
      const { ports, ...rest } = value as { ports: { vm1: object } };
      return {
        process: { ...process, name, devices: [name] },
        switch: { ...rest, ports: { [name]: { ...ports.vm1, description: name, problem: name } } },
      };
    });
    const lines = screenOf(picture([hostile], hostile), USUAL);
    const text = lines.map(plain).join('\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|\u0301/);
    expect(text).toContain('\\x1b[2J\\x07\\r\\n漢字\\u202e名');
    for (const { spans } of lines)
      expect(spans.reduce((sum, { text }) => sum + widthOf(text), 0)).toBeLessThanOrEqual(80);
  });

  it('has colours only where they are wanted', () => {
    const codes = (hasColour: boolean) =>
      screenOf(picture([web], web), USUAL)
        .map(painter(hasColour, 80))
        .join('\n');
    expect(codes(true)).toContain('\x1b[30;46m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of colours
    expect(codes(false)).not.toMatch(/\x1b\[[\d;]*[34]\d/);
    expect(codes(false)).toContain('\x1b[7m');
    const wide = painter(true, 8)({ spans: [span('漢字')], isSelected: true });
    expect(wide).toBe('\x1b[30;46m漢字    \x1b[0m');
  });
});

describe('the counters of a process that lies', () => {
  it('count as nothing where they are no numbers', () => {
    const { process } = portStats(0);
    const bad = [undefined, null, 7, 'x', [], {}, { counters: 1 }, { counters: {}, cores: 'x' }];
    for (const port of bad) expect(readingOf({ process, port }), JSON.stringify(port)).toBeNull();
    for (const value of bad) expect(readingOf({ process, switch: value })).toBeNull();
    const odd = {
      counters: { rx_packets: 'x', tx_packets: Number.NaN, rx_drop_x: {} },
      cores: [null, 3, { counters: 5 }],
    };
    const reading = readingOf({ process, port: odd })!;
    expect(reading.ports[0]).toMatchObject({ in: { packets: 0 }, out: { packets: 0 }, dropped: 0, drops: {} });
    expect(reading.threads).toHaveLength(3);
  });

  it('are cut where they are too many', () => {
    const { process } = switchStats(0);
    const ports = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, {}]));
    expect(readingOf({ process, switch: { summary: {}, ports } })!.ports).toHaveLength(300);
    const many = { connections: Array.from({ length: 5000 }, () => ({})) };
    expect(readConnections(many)).toMatchObject({ items: { length: 300 }, total: 300 });
  });

  it('have no rates below 0, also when they begin again', () => {
    const history = new History(1);
    history.next(readingOf(portStats(100))!);
    const again = history.next(readingOf(portStats(1, { uptime: 1 }))!);
    expect(again.ports[0]).toMatchObject({ in: { packets: 0 }, dropped: 0 });
    const [rates] = history.next(readingOf(portStats(2))!).ports;
    expect(rates!.in.packets).toBe(1_200_000);
  });
});
