/** The TypeScript files of the project, for the test of the house rules: what each imports, and how its tests are called. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** What the file imports, types and dynamic imports too: paths from the root that end in `.ts`, or names of packages. */
  readonly imports: readonly string[];
}

export function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const imports = ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) =>
      fileName.startsWith('.') ? normalize(join(dirname(path), fileName)).replace(/\.js$/, '.ts') : fileName,
    );
  return { path, text, imports };
}

/** All TypeScript files below these folders of the root. */
export function readSources(folders: readonly string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readSource(`${folder}/${name}`)),
  );
}

/**
 * Groups of files that import each other, directly or by way of others. A group is a line with its files; no line, no
 * circle. (Strongly connected components, Tarjan 1972.)
 */
export function importCircles(sources: readonly Pick<Source, 'path' | 'imports'>[]): string[] {
  const files = new Map(sources.map((source) => [source.path, source]));
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const circles: string[] = [];
  const visit = (path: string): void => {
    const number = order.size;
    order.set(path, number);
    low.set(path, number);
    open.push(path);
    for (const next of files.get(path)!.imports) {
      if (!files.has(next)) continue;
      if (!order.has(next)) visit(next);
      if (open.includes(next)) low.set(path, Math.min(low.get(path)!, low.get(next)!));
    }
    if (low.get(path) !== number) return;
    const group = open.splice(open.indexOf(path));
    if (group.length > 1 || files.get(path)!.imports.includes(path)) circles.push(group.sort().join(' <-> '));
  };
  for (const path of files.keys()) if (!order.has(path)) visit(path);
  return circles;
}

function parse({ path, text }: Pick<Source, 'path' | 'text'>): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
}

/** How often the type `any` is written. */
export function countAny(source: Pick<Source, 'path' | 'text'>): number {
  let count = 0;
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) count++;
    ts.forEachChild(node, visit);
  };
  visit(parse(source));
  return count;
}

/** The titles of `it(…)`, `it.each(…)(…)` and so on, as far as they are written out: `${…}` parts are left out. */
export function testTitles(source: Pick<Source, 'path' | 'text'>): string[] {
  const titles: string[] = [];
  const rootOf = (callee: ts.Node): ts.Node =>
    ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee) ? rootOf(callee.expression) : callee;
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    if (!ts.isCallExpression(node)) return;
    const root = rootOf(node.expression);
    if (!ts.isIdentifier(root) || root.text !== 'it') return;
    const [title] = node.arguments;
    if (title === undefined) return;
    if (ts.isStringLiteralLike(title)) titles.push(title.text);
    else if (ts.isTemplateExpression(title)) {
      titles.push([title.head.text, ...title.templateSpans.map(({ literal }) => literal.text)].join(''));
    }
  };
  visit(parse(source));
  return titles;
}
