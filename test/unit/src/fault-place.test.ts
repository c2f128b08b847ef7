/**
 * Where an error comes from: the innermost place outside of tspmd, or what Node shows for code that cannot be parsed.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { placeOf, syntaxErrorPlace } from '../../../src/fault-place.js';
import { loadStack } from '../../../src/stack.js';
import { temporaryDirectory } from '../../support/resources.js';

const OURS = fileURLToPath(new URL('../../../src/link/core.ts', import.meta.url));

function thrown(stack: string, name = 'Error'): Error {
  return Object.assign(new Error('x'), { name, stack });
}

describe('the place of an error', () => {
  it.each([
    ['a module', 'Error: x\n    at poll (file:///home/u/my%20app/a.mjs:3:14)', '/home/u/my app/a.mjs:3:14'],
    ['a script', 'Error: x\n    at Object.poll (/home/u/my app/a.cjs:3:14)', '/home/u/my app/a.cjs:3:14'],
    ['no function', 'Error: x\n    at file:///home/u/a.mjs:3:14', '/home/u/a.mjs:3:14'],
    ['an asynchronous call', 'Error: x\n    at async file:///home/u/a.mjs:3:14', '/home/u/a.mjs:3:14'],
    [
      'Node and tspmd',
      `E\n  at x (node:net:1:2)\n  at f (${OURS}:1:2)\n  at g (/home/u/a.mjs:3:14)`,
      '/home/u/a.mjs:3:14',
    ],
    ['the caller of tspmd', `E\n  at runStack (${OURS}:1:2)\n  at main (/home/u/a.mjs:3:14)`, null],
    ['tspmd alone', `Error: x\n    at f (${OURS}:1:2)`, null],
    ['nowhere', 'Error: x', null],
  ])('is found in a stack that leads to %s', (_, stack, place) => {
    expect(placeOf(thrown(stack))).toBe(place);
  });

  it.each([
    [
      'file:///a/b.mjs:7\nimport { x } from "y";\n         ^\nSyntaxError: no x\n    at z (node:x:1:2)',
      '/a/b.mjs:7:10',
    ],
    ['/a/b.ts:3\nfirst line {\n  retrn {};\n        ^\n};\n\nSyntaxError', '/a/b.ts:3:9'],
    ['file:///a/b.mjs:1\nexport default (\n                \n\nSyntaxError: end', '/a/b.mjs:1:17'],
  ])('is found where Node shows code that cannot be parsed: %j', (stack, place) => {
    expect(placeOf(thrown(stack, 'SyntaxError'))).toBe(place);
  });

  it('is not known of a value that is no Error', () => {
    expect([placeOf('text'), placeOf(undefined)]).toEqual([null, null]);
  });

  it('is that of an imported module which cannot be parsed, and nothing of it runs', async () => {
    const directory = temporaryDirectory();
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory.path, name), text);
      return join(directory.path, name);
    };
    const broken = file('broken.mjs', 'const a = 1;\n  const a = 2;\n');
    const outer = file('outer.mjs', "import { writeFileSync } from 'node:fs';\nimport './broken.mjs';\n");
    expect(await syntaxErrorPlace(outer)).toBe(`${broken}:2:9`);
    expect(await syntaxErrorPlace(file('good.mjs', "throw new Error('it was run');"))).toBeNull();
    await expect(loadStack(broken)).rejects.toThrow(`already been declared (at ${broken}:2:9)`);
    directory.remove();
  });
});
