/** The live page: shows what the process tells, keeps the last minutes, and says what has changed. */
import { changesBetween } from './model/changes.js';
import { bits, count, percent, pps, timeText } from './model/format.js';
import { History } from './model/history.js';
import type { Look } from './model/look.js';
import { lookAtPort } from './model/look-at-port.js';
import { lookAtSwitch } from './model/look-at-switch.js';
import { type Rates, ratesOf } from './model/rates.js';
import type { About, News, Stats } from './model/told.js';
import { Charts, columnsOf } from './view/charts.js';
import { byId, make, setAttribute, setText } from './view/dom.js';
import { Source, type SourceState } from './view/source.js';
import { type Advice, Tables } from './view/tables.js';
import { Topology } from './view/topology.js';

/** What the page says of itself: that of the source, unless somebody has paused it, or the process has a problem. */
type PageState = SourceState | 'paused' | 'problem';

class Page {
  private readonly history = new History();
  private readonly charts = new Charts(byId('charts'));
  private readonly topology = new Topology(byId('topology'));
  private readonly tables: Tables;
  private look: Look | null = null;
  private rates: Rates | null = null;
  private news: News | null = null;
  /** Of the main thread, in seconds. */
  private loopDelay = 0;
  private state: PageState | null = null;
  private isPaused = false;

  constructor(advice: Advice) {
    this.tables = new Tables(advice);
    const pause = byId('pause');
    pause.addEventListener('click', () => {
      this.isPaused = !this.isPaused;
      setAttribute(pause, 'aria-pressed', String(this.isPaused));
      this.showState(this.isPaused ? 'paused' : 'live', 0);
      this.show();
    });
    const redraw = (): void => {
      this.charts.redraw();
      this.show();
    };
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    new ResizeObserver(redraw).observe(byId('main'));
    new Source(
      (news) => this.take(news),
      (state, seconds) => this.showState(state, seconds),
    );
  }

  /** Takes the news also while the page is paused, so that the charts have no gap. */
  private take(news: News): void {
    const last = this.news?.process;
    const { version, pid, uptime } = news.process;
    // The script of another version may not know what this one tells.
    if (last !== undefined && last.version !== version) location.reload();
    if (last !== undefined && (last.pid !== pid || last.uptime > uptime)) this.begin('the process was started again');
    this.news = news;
    if ('problem' in news.stats) this.history.gap(uptime);
    else this.takeStats(news.stats.result);
    if (!this.isPaused) this.show();
  }

  private takeStats({ process, port, switch: bess }: Stats): void {
    const look =
      port !== undefined
        ? lookAtPort(process.uptime, port)
        : bess !== undefined
          ? lookAtSwitch(process.uptime, bess)
          : null;
    if (look === null) return;
    this.loopDelay = process.loopDelay ?? 0;
    const before = this.look;
    this.rates = ratesOf(look, before);
    this.look = look;
    // The first look has no rates.
    if (before !== null) this.history.add(look.at, columnsOf(look, this.rates));
    if (before !== null) this.announce(changesBetween(before, look).join('; '));
  }

  private begin(why: string): void {
    this.look = null;
    this.rates = null;
    this.history.clear();
    this.announce(why);
  }

  private show(): void {
    const { news, look, rates } = this;
    if (news === null) return;
    this.showAbout(news.process);
    const problem =
      'problem' in news.stats ? news.stats.problem : (look?.ports.find((port) => port.problem)?.problem ?? null);
    const place = byId('problem');
    place.hidden = problem === null;
    setText(place, problem ?? '');
    if ('problem' in news.stats) this.showState('problem', 0);
    const { watching, dropped, refused } = news.viewers;
    const lost = [
      dropped > 0 ? `${count(dropped)} did not read and were dropped` : '',
      refused > 0 ? `${count(refused)} were refused` : '',
    ];
    setText(byId('viewers'), [`Viewers of this page: ${watching}`, ...lost.filter((part) => part !== '')].join('; '));
    this.tables.showFlows(news.flows);
    this.tables.showConnections(news.connections);
    if (look === null || rates === null) return;
    this.showFigures(look, rates);
    this.topology.update(look.graph, rates);
    this.tables.update(look, rates);
    this.charts.update(this.history, look.noRings);
  }

  private showAbout({ name, kind, devices, address, mode, pid, version, uptime, state }: About): void {
    const heading = byId('name');
    if (heading.firstChild?.textContent !== name) heading.replaceChildren(name, make('small', '', kind));
    const several = devices.length > 1 ? `${devices.length} devices` : (devices[0] ?? '');
    const parts = [
      several,
      address ?? '',
      mode === null ? '' : `mode ${mode}`,
      state === 'ready' ? '' : state,
      `up ${timeText(uptime)}`,
    ];
    setText(byId('about'), [...parts.filter((part) => part !== ''), `process ${pid}`, `tspmd ${version}`].join(' · '));
  }

  private showFigures(look: Look, rates: Rates): void {
    const shares = [...rates.threads].flatMap(([title, { busy }]) => (busy === null ? [] : [{ title, busy }]));
    const busiest = shares.sort((one, other) => other.busy - one.busy)[0];
    const figures: [string, string, string, boolean][] = [
      ['In', pps(rates.in.packets), bits(rates.in.bytes), false],
      ['Out', pps(rates.out.packets), bits(rates.out.bytes), false],
      ['Drops', pps(rates.dropped), `${count(look.dropped)} since the start`, rates.dropped > 0],
      ['Busiest thread', busiest === undefined ? '–' : percent(busiest.busy), busiest?.title ?? '', false],
      ['Event loop', `${(this.loopDelay * 1000).toFixed(1)} ms`, 'delay of the main thread', false],
    ];
    const list = byId('figures');
    if (list.children.length !== figures.length)
      list.replaceChildren(...figures.map(([title]) => make('div', '', make('dt', '', title), make('dd'), make('dd'))));
    for (const [i, [, value, detail, isBad]] of figures.entries()) {
      const [, first, second] = Array.from(list.children[i]?.children ?? []);
      if (first !== undefined) setText(first, value);
      if (second !== undefined) setText(second, detail);
      list.children[i]?.classList.toggle('is-bad', isBad);
    }
  }

  private showState(asked: PageState, seconds: number): void {
    const hasProblem = this.news !== null && 'problem' in this.news.stats;
    const state = asked === 'live' ? (this.isPaused ? 'paused' : hasProblem ? 'problem' : 'live') : asked;
    const { name = 'tspmd', kind } = this.news?.process ?? {};
    const texts: Record<PageState, string> = {
      connecting: 'connecting',
      live: 'live',
      paused: 'paused',
      problem: 'no counters',
      stale: `no news for ${timeText(seconds)}; connecting again`,
    };
    setText(byId('state-text'), texts[state]);
    const title = `${name}${kind === undefined ? '' : ` · tspmd ${kind}`}`;
    document.title = state === 'live' ? title : `${state}: ${title}`;
    if (state === this.state) return;
    const before = this.state;
    this.state = state;
    setAttribute(document.body, 'data-state', state);
    setAttribute(byId('state'), 'data-state', state);
    if (before === 'connecting' && state === 'live') this.announce(`connected to ${name}`);
    else if (before !== null)
      this.announce(state === 'stale' ? 'the connection is lost; the figures are old' : texts[state]);
  }

  /** Says something to a screen reader. */
  private announce(text: string): void {
    if (text !== '') setText(byId('announcer'), text);
  }
}

new Page(JSON.parse(byId('advice').textContent ?? '{}') as Advice);
