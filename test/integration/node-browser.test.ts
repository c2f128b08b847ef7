/** A browser loads a page with twenty resources and a web socket from a program under `tspmd exec`. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { CHROMIUM_OPTIONS } from '../support/browser/chromium.js';
import { KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';

const PROGRAM = fileURLToPath(new URL('../../dist/test/support/programs/page.main.js', import.meta.url));
const WIDTH = 350;
const HEIGHT = 200;
const LIMIT = { timeout: 90_000 };

describeWith('Chromium', [...TCP_PEERS, command('chromium')], () => {
  let lab: KernelLab;
  let program: Child;

  beforeAll(async () => {
    lab = await KernelLab.start();
    program = await lab.program(/^listening/m, [PROGRAM]);
  });

  afterAll(async () => {
    await program?.stop();
    await lab?.close();
  });

  it('shows all of a page of a program under tspmd exec', LIMIT, async () => {
    const [, count, size] = /(\d+) squares of (\d+)/.exec(program.stdout)!.map(Number) as [number, number, number];
    const file = lab.file('page.png');
    const where = [
      `--user-data-dir=${lab.file('chromium')}`,
      `--screenshot=${file}`,
      `--window-size=${WIDTH},${HEIGHT}`,
    ];
    const { code, output } = await lab.run(60, 'chromium', ...CHROMIUM_OPTIONS, ...where, `http://${OURS}/`);
    expect(program.output).toContain('reported: length 100000, images 11\n');
    expect(code, output).toBe(0);
    const { width, height, data } = PNG.sync.read(readFileSync(file));
    expect([width, height]).toEqual([WIDTH, HEIGHT]);
    const colour = (x: number, y: number): number[] => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)];
    const perRow = WIDTH / size;
    const colours = Array.from({ length: count }, (_, n) => {
      return colour((n % perRow) * size + size / 2, Math.floor(n / perRow) * size + size / 2);
    });
    expect(colours).toEqual(Array(count).fill([0, 160, 0]));
    expect(colour(WIDTH - 1, HEIGHT - 1)).toEqual([255, 255, 255]);
  });
});
