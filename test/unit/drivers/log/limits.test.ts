/** How many lines a peer can cause, and what happens to lines that nobody reads. */
import { describe, expect, it } from 'vitest';
import { LineLimiter } from '../../../../drivers/log/line-limiter.js';
import { type LineStream, LineWriter } from '../../../../drivers/log/line-writer.js';

describe('LineLimiter', () => {
  function makeLimiter(lines?: number) {
    const out: string[] = [];
    const t = { now: 1000, out };
    const limiter = new LineLimiter((line) => out.push(line), { clock: () => t.now, ...(lines ? { lines } : {}) });
    return { t, out, limiter };
  }

  it('passes 20 lines of a kind in 10 s, and then says how many more there were', () => {
    const { t, out, limiter } = makeLimiter();
    for (let i = 0; i < 80_000; i++) limiter.write('refused message', `line ${i}`);
    expect(out).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i}`));
    t.now += 9_999;
    limiter.tick();
    limiter.write('refused message', 'late');
    expect(out).toHaveLength(20);
    t.now += 1;
    limiter.tick();
    expect(out.slice(20)).toEqual(['… 79,981 more of this kind in the last 10 s: refused message']);
    limiter.tick();
    limiter.write('refused message', 'again');
    expect(out.slice(21)).toEqual(['again']);
  });

  it('says the number before the next line if there was no tick', () => {
    const { t, out, limiter } = makeLimiter(1);
    for (const line of ['a', 'b', 'c']) limiter.write('k', line);
    t.now += 25_000;
    limiter.write('k', 'd');
    expect(out).toEqual(['a', '… 2 more of this kind in the last 25 s: k', 'd']);
  });

  it('counts kinds apart, and reports the rest when it is closed', () => {
    const { out, limiter } = makeLimiter(1);
    for (const kind of ['a', 'b', 'a', 'b', 'b']) limiter.write(kind, `line ${kind}`);
    limiter.close();
    expect(out).toEqual([
      'line a',
      'line b',
      '… 1 more of this kind in the last 1 s: a',
      '… 2 more of this kind in the last 1 s: b',
    ]);
    limiter.close();
    expect(out).toHaveLength(4);
  });

  it('remembers 32 kinds; all others are one kind', () => {
    const { t, out, limiter } = makeLimiter(1);
    for (let i = 0; i < 10_000; i++) limiter.write(`kind ${i}`, `line ${i}`);
    expect(out).toHaveLength(33);
    limiter.close();
    expect(out.slice(33)).toEqual(['… 9,967 more of this kind in the last 1 s: other']);
    t.now += 10_000;
    // Kinds that were quiet are forgotten.
    limiter.tick();
    limiter.write('kind 9999', 'line');
    expect(out.at(-1)).toBe('line');
  });
});

describe('LineWriter', () => {
  /** A pipe whose reader takes as many bytes as the test says. */
  class Pipe implements LineStream {
    writableLength = 0;
    writableNeedDrain = false;
    isRead = true;
    written = '';
    private onDrain: (() => void)[] = [];

    write(text: string): boolean {
      this.written += text;
      if (!this.isRead) this.writableLength += text.length;
      this.writableNeedDrain = this.writableLength >= 16_384;
      return !this.writableNeedDrain;
    }

    once(_: 'drain', listener: () => void): void {
      this.onDrain.push(listener);
    }

    read(): void {
      this.isRead = true;
      this.writableLength = 0;
      this.writableNeedDrain = false;
      for (const listener of this.onDrain.splice(0)) listener();
    }
  }

  it('drops lines that nobody reads, and says how many once they are read again', () => {
    const pipe = new Pipe();
    const writer = LineWriter.of(pipe);
    pipe.isRead = false;
    for (let i = 0; i < 100_000; i++) writer.line(`line ${i}`.padEnd(99));
    expect(pipe.writableLength).toBeLessThanOrEqual(65_536);
    const kept = pipe.written.split('\n').length - 1;
    expect(kept).toBeGreaterThan(600);
    writer.text('a table\nof two lines');
    pipe.written = '';
    pipe.read();
    writer.line('back');
    expect(pipe.written).toBe(`… ${100_000 - kept + 2} lines dropped: nobody read them in time\nback\n`);
  });

  it('is one per stream: all writers of a stream share the bound', () => {
    const pipe = new Pipe();
    pipe.isRead = false;
    for (let i = 0; i < 1000; i++) LineWriter.of(pipe).text('x'.repeat(999));
    expect(pipe.writableLength).toBeLessThanOrEqual(65_536);
  });

  it('writes a text that is longer than the bound if nothing waits', () => {
    const pipe = new Pipe();
    pipe.isRead = false;
    LineWriter.of(pipe).text('x'.repeat(200_000));
    LineWriter.of(pipe).line('lost');
    expect(pipe.written).toHaveLength(200_001);
  });

  it('writes one line per line, and no escapes, whatever it is given', () => {
    const pipe = new Pipe();
    LineWriter.of(pipe).line('refused\nport vm2: forged\u001b[1A');
    LineWriter.of(pipe).text('a\nb\u001b[1A');
    expect(pipe.written).toBe('refused\\nport vm2: forged\\x1b[1A\na\nb\\x1b[1A\n');
  });
});
