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

/** The links of a page to files of the project: `[text](path#anchor)`, relative to the page. */
export function localLinks(page: string): string[] {
  const links = withoutCode(readFileSync(join(ROOT, page), 'utf8')).matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].map(([, target]) => target!).filter((target) => !/^[a-z]+:/.test(target));
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
