/** `--report DIR`: writes a Markdown page with the tables, the plots as SVG files, and the JSON. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plotsOf } from './plots.js';
import type { Report, Reports, Row } from './report.js';
import { doubts, moreLines, shown } from './table.js';

/** Writes the pages of a run, and makes the folder. Returns the paths of the files. */
export function writePages(folder: string, done: Report | Reports): string[] {
  mkdirSync(folder, { recursive: true });
  const files: string[] = [];
  const write = (name: string, text: string): void => {
    files.push(join(folder, name));
    writeFileSync(files.at(-1)!, text);
  };
  const reports = 'reports' in done ? done.reports : [done];
  const sections = reports.map((report) => {
    const plots = plotsOf(report);
    for (const { name, svg } of plots) write(`${name}.svg`, `${svg}\n`);
    return section(
      report,
      plots.map(({ name, title }) => `![${title}](${name}.svg)`),
    );
  });
  const missing = 'notMeasured' in done ? Object.entries(done.notMeasured) : [];
  write(
    'README.md',
    [
      `# Benchmark: ${done.benchmark}`,
      '',
      ...Object.entries(done.machine).map(([name, value]) => `- ${name}: ${value}`),
      '',
      'Figures are medians of the windows, with minimum and maximum. A ratio above 1 means that tspmd is better. Rows in doubt',
      'are not conclusive, because the machine was too noisy.',
      '',
      ...sections.flat(),
      ...(missing.length > 0 ? ['## Not measured', '', ...missing.map(([what, why]) => `- ${what}: ${why}`), ''] : []),
    ].join('\n'),
  );
  write('report.json', `${JSON.stringify(done, null, 2)}\n`);
  return files;
}

function section({ benchmark, rows }: Report, plots: readonly string[]): string[] {
  const more = moreLines(rows).map((line) => `- ${line.trim()}`);
  return [
    `## ${benchmark}`,
    '',
    '| row | tspmd | peer | peer’s | ratio | core to core, ns | in doubt |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.flatMap(tableLines),
    '',
    ...plots.flatMap((plot) => [plot, '']),
    ...(more.length > 0 ? [...more, ''] : []),
  ];
}

function tableLines(row: Row): string[] {
  const { name, ours, peers, ratio, noise } = row;
  const probe = noise?.coreToCoreNs;
  const tail = [probe ? `${probe.before ?? '?'}, ${probe.after ?? '?'}` : '', doubts(row).join('; ')];
  const line = (cells: readonly string[]): string => `| ${[name, shown(ours), ...cells, ...tail].join(' | ')} |`;
  const names = Object.keys(peers);
  if (names.length === 0) return [line(['', '', ''])];
  return names.map((peer) => line([peer, shown(peers[peer]), ratio[peer].toFixed(2)]));
}
