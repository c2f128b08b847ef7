/** Collects the licences of the bundled packages in one file, as these licences demand. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

const FOLDER = `${sep}node_modules${sep}`;

interface Bundled {
  readonly title: string;
  readonly text: string;
}

/** Returns the folder of the package that a module belongs to; undefined for our own modules. */
function packageFolder(module: string): string | undefined {
  if (!module.includes(FOLDER)) return undefined;
  let folder = dirname(module);
  // Some packages have a second package.json in a sub-folder, without name and version.
  while (!existsSync(join(folder, 'package.json')) || !('version' in manifest(folder))) folder = dirname(folder);
  return folder;
}

const manifest = (folder: string): { name?: string; version?: string; license?: string } =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

function licenceOf(folder: string): Bundled {
  const { name, version, license } = manifest(folder);
  const files = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)\b/i.test(file))
    .sort();
  if (!files.some((file) => !/^notice/i.test(file))) {
    throw new Error(`bundle: the bundled package ${name} ${version} has no licence file`);
  }
  return {
    title: `${name} ${version} (${license})`,
    text: files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n'),
  };
}

/**
 * Returns the text of the licence file.
 * @param modules paths of all bundled modules
 */
export function licencesOf(modules: Iterable<string>): string {
  const folders = new Set<string>();
  for (const module of modules) {
    const folder = packageFolder(module);
    if (folder !== undefined) folders.add(folder);
  }
  const bundled = [...folders].map(licenceOf).sort((a, b) => (a.title < b.title ? -1 : 1));
  const line = '-'.repeat(80);
  return [
    'The JavaScript files and the page of this folder contain these packages, in whole or in part:\n',
    ...bundled.map(({ title }) => `  ${title}`),
    ...bundled.map(({ title, text }) => `\n${line}\n${title}\n${line}\n\n${text}`),
    '',
  ].join('\n');
}
