/**
 * The second half of `npm run build`: writes `dist/bundle/tspmd/`, which is the code of the package. `--without-maps`
 * leaves the source maps out; `npm pack` uses it. Also writes the modules of the benchmarks.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bundleBenchmarks } from './benchmarks.js';
import { bundleDeclarations } from './declarations.js';
import { BUNDLE } from './exports.js';
import { bundleJavaScript } from './javascript.js';
import { licencesOf } from './licences.js';
import { bundlePage } from './page.js';

const LICENCES = 'THIRD-PARTY-LICENSES.txt';

const withMaps = !process.argv.includes('--without-maps');
const chunks = await bundleJavaScript(withMaps);
const page = await bundlePage();
writeFileSync(join(BUNDLE, LICENCES), licencesOf([...chunks, page.chunk].flatMap(({ moduleIds }) => moduleIds)));
// A shared file may have the same name as an export, so only entries count.
const entries = chunks.filter(({ isEntry }) => isEntry);
const declarations = await bundleDeclarations(new Map(entries.map(({ name, exports }) => [name, exports])));
const written = new Set([...chunks.map(({ fileName }) => fileName), ...declarations, LICENCES, page.file]);
if (withMaps) for (const { fileName } of chunks) written.add(`${fileName}.map`);
for (const old of readdirSync(BUNDLE, { recursive: true, withFileTypes: true })) {
  const file = join(old.parentPath, old.name);
  if (old.isFile() && !written.has(relative(BUNDLE, file))) rmSync(file);
}
await bundleBenchmarks();
