/**
 * Draws the screen of a terminal as SVG, from what `tmux capture-pane -p -e` prints: text with SGR codes. Blocks are drawn
 * as rectangles, so that they join whatever the font is.
 */

const CELL = { width: 8.4, height: 18 } as const;
const MARGIN = 14;
const FONT = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace";
const BACKGROUND = '#0f1419';
const PLAIN = '#d5dae0';
/** Colours by their SGR code. */
const COLOURS: Readonly<Record<number, string>> = { 30: BACKGROUND, 31: '#ff7a7a', 33: '#e9b755', 36: '#5cc8d7' };

interface Look {
  colour: string;
  isBold: boolean;
  isDim: boolean;
  isReversed: boolean;
  background: string | null;
}

const usual = (): Look => ({ colour: PLAIN, isBold: false, isDim: false, isReversed: false, background: null });

interface Run extends Look {
  readonly text: string;
  /** The first cell. */
  readonly at: number;
}

/** Returns the pieces of a line that look the same, and the look at its end. */
function runsOf(line: string, first: Look): { runs: Run[]; last: Look } {
  const runs: Run[] = [];
  let look = first;
  let at = 0;
  for (const part of line.split(/(\p{Cc}\[[\d;]*m)/u)) {
    const codes = /^\p{Cc}\[([\d;]*)m$/u.exec(part)?.[1];
    if (codes !== undefined) {
      for (const code of codes.split(';').map(Number)) look = changed(look, code);
    } else if (part !== '') {
      runs.push({ ...look, text: part, at });
      at += [...part].length;
    }
  }
  return { runs, last: look };
}

function changed(look: Look, code: number): Look {
  if (code === 0) return usual();
  if (code === 1) return { ...look, isBold: true };
  if (code === 2) return { ...look, isDim: true };
  if (code === 7) return { ...look, isReversed: true };
  if (code >= 40 && code < 48) return { ...look, background: COLOURS[code - 10] ?? null };
  if (code === 49) return { ...look, background: null };
  if (code === 39) return { ...look, colour: PLAIN };
  return { ...look, colour: COLOURS[code] ?? look.colour };
}

const LOWER = '▁▂▃▄▅▆▇█';
const LEFT = '▏▎▍▌▋▊▉';
const figure = (value: number): string => String(Math.round(value * 100) / 100);
const escaped = (text: string): string => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** Returns a block as a part of its cell: left edge, upper edge, width and height; null for other characters. */
function blockOf(character: string): readonly [number, number, number, number] | null {
  const eighths = LOWER.indexOf(character) + 1;
  if (eighths > 0) return [0, 1 - eighths / 8, 1, eighths / 8];
  const part = LEFT.indexOf(character) + 1;
  return part > 0 ? [0, 0, part / 8, 1] : null;
}

function drawRun({ text, at, colour, isBold, isDim, isReversed, background }: Run, row: number): string {
  const [left, top] = [MARGIN + at * CELL.width, MARGIN + row * CELL.height];
  const characters = [...text];
  const ink = isReversed ? BACKGROUND : colour;
  const opacity = isDim ? ' opacity=".55"' : '';
  const paper = isReversed ? PLAIN : background;
  const behind = paper
    ? `<rect x="${figure(left)}" y="${figure(top)}" width="${figure(characters.length * CELL.width)}" height="${CELL.height}" fill="${paper}"/>`
    : '';
  // One path for all blocks, inset a little at the top, so that two rows of charts do not touch.
  const path = characters.map((character, i) => {
    const block = blockOf(character);
    if (block === null) return '';
    const [x, y, width, height] = block;
    const room = CELL.height - 4;
    return `M${figure(left + (i + x) * CELL.width)} ${figure(top + 2 + y * room)}h${figure(width * CELL.width)}v${figure(height * room)}h-${figure(width * CELL.width)}z`;
  });
  const blocks = path.join('') === '' ? '' : `<path d="${path.join('')}" fill="${ink}"${opacity}/>`;
  const words = characters.map((character) => (blockOf(character) === null ? character : ' ')).join('');
  // Each word has its own place and length: the columns stay aligned in every font.
  const texts = [...words.matchAll(/\S+(?: \S+)*/g)].map(({ 0: word, index }) => {
    const [x, y] = [figure(left + [...words.slice(0, index)].length * CELL.width), figure(top + 13)];
    const length = figure([...word].length * CELL.width);
    return `<text x="${x}" y="${y}" textLength="${length}" fill="${ink}"${isBold ? ' font-weight="700"' : ''}${opacity}>${escaped(word)}</text>`;
  });
  return behind + blocks + texts.join('');
}

/**
 * @param screen lines with SGR codes
 * @param columns width of the terminal, in cells
 * @param title for those who do not see the picture
 */
export function terminalSvg(screen: string, columns: number, title: string): string {
  const lines = screen.replace(/\n+$/, '').split('\n');
  const [width, height] = [2 * MARGIN + columns * CELL.width, 2 * MARGIN + lines.length * CELL.height];
  let look = usual();
  const drawn = lines.map((line, row) => {
    const { runs, last } = runsOf(line, look);
    look = last;
    return runs.map((run) => drawRun(run, row)).join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${figure(width)} ${figure(height)}" width="${figure(width)}" height="${figure(height)}" role="img" font-family="${FONT}" font-size="14">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>`,
    ...drawn.filter((line) => line !== ''),
    '</svg>',
    '',
  ].join('\n');
}
