/**
 * Writes the live page: one file with its style, its script and the texts of the documentation, so that it needs nothing
 * from anywhere else.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type OutputChunk, rolldown } from 'rolldown';
import { adviceIn } from './advice.js';
import { BUNDLE, DIST } from './exports.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCE = join(ROOT, 'observe/page/browser');
const FILE = 'page.html';
/** Beside the module that serves it, which is in the bundle, or in `dist/` when tests start it there. */
const PLACES = [BUNDLE, join(DIST, 'observe/page')];

/** Returns the file in the bundle, and the script that it contains. */
export async function bundlePage(): Promise<{ file: string; chunk: OutputChunk }> {
  const chunk = await script();
  const css = readFileSync(join(ROOT, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8');
  const read = (name: string): string => readFileSync(join(SOURCE, name), 'utf8');
  const advice = adviceIn(readFileSync(join(ROOT, 'docs/observe.md'), 'utf8'));
  const parts: readonly [string, string][] = [
    ['/* style.css */', `${css.trim()}${shortened(read('style.css'))}`],
    ['/* main.js */', chunk.code.trim()],
    ['{"advice": "here"}', JSON.stringify(advice)],
  ];
  let html = shortened(read(FILE));
  for (const [mark, text] of parts) {
    if (html.split(mark).length !== 2) throw new Error(`page: ${FILE} must have '${mark}' once`);
    html = html.replace(mark, () => checked(text));
  }
  for (const place of PLACES) writeFileSync(join(place, FILE), html);
  return { file: FILE, chunk };
}

async function script(): Promise<OutputChunk> {
  const bundle = await rolldown({
    cwd: DIST,
    input: join(DIST, 'observe/page/browser/main.js'),
    platform: 'browser',
    onLog(level, log) {
      if (level === 'warn') throw new Error(`page: ${log.message}`);
    },
  });
  try {
    const { output } = await bundle.generate({ format: 'iife', minify: true, comments: false });
    return output[0];
  } finally {
    await bundle.close();
  }
}

/** A text that neither ends its element nor begins a comment in it. */
function checked(text: string): string {
  const safe = text.replace(/<\/(?=script|style)/gi, '<\\/');
  if (safe.includes('<!--')) throw new Error("page: '<!--' would begin a comment");
  return safe;
}

/** Without the indentation, and without empty lines. */
const shortened = (text: string): string => text.replace(/^\s+/gm, '').trim();
