/** The pages of the project, for the test of the house rules: where their links lead. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from './sources.js';

/** Code is no prose: what looks like a link or a heading in it is none. */
function withoutCode(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()]/g, ' '));
}

/** The anchors of a page's headings, as GitHub and TypeDoc make them. */
function anchors(page: string): Set<string> {
  const headings = withoutCode(readFileSync(join(ROOT, page), 'utf8')).matchAll(/^#{1,6} +(.*)$/gm);
  return new Set(
    [...headings].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

/** A line for each page of `docs/`, or section of one (`docs/v8.md, "One shape"`), that `text` names and that does not exist. */
export function missingSections(text: string): string[] {
  const names = text.matchAll(/\bdocs\/[\w-]+\.md(?:, "([^"\n]+)")?/g);
  return [...names]
    .filter(([name, section]) => {
      const page = name.split(',')[0]!;
      if (!existsSync(join(ROOT, page))) return true;
      return section !== undefined && !readFileSync(join(ROOT, page), 'utf8').includes(`\n## ${section}\n`);
    })
    .map(([name]) => name);
}

/** The links of a page to files of the project: `[text](path#anchor)`, relative to the page. */
export function localLinks(page: string): string[] {
  const links = withoutCode(readFileSync(join(ROOT, page), 'utf8')).matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].map(([, target]) => target!).filter((target) => !/^[a-z]+:/.test(target));
}

/** The files and folders that a page names by their paths from the root, such as `rings/spsc-ring.ts`. `NAME` stands for any. */
export function namedPaths(page: string, folders: readonly string[]): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8').replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
  const names = [...text.matchAll(/`([\w-]+\/[\w./-]*)`/g)].map(([, name]) => name!);
  return names.filter((name) => folders.includes(name.split('/')[0]!) && !name.includes('NAME'));
}

/** A line for each path that `page` names and that does not exist. */
export function missingPaths(page: string, folders: readonly string[]): string[] {
  const missing = namedPaths(page, folders).filter((name) => !existsSync(join(ROOT, name)));
  return missing.map((name) => `${page} names ${name}`);
}

/** A line for each link of `page` whose file or whose heading does not exist. */
export function brokenLinks(page: string): string[] {
  return localLinks(page)
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : normalize(join(dirname(page), path));
      if (!existsSync(join(ROOT, file))) return true;
      return anchor !== undefined && !anchors(file).has(anchor);
    })
    .map((target) => `${page} links to ${target}`);
}
