/** `tspmd new`: makes a folder with a stack to begin with, from the files of `templates/new-stack`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import validatePackageName from 'validate-npm-package-name';
import { say } from './output.js';

export interface NewStackOptions {
  /** What the project depends on instead of this version: a version, or the path of a tarball or folder. */
  readonly tspmd?: string;
  /** Where this package lies. */
  readonly packageRoot?: string;
}

/** What of our own package.json goes into the project's. */
interface OwnPackage {
  readonly version: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** As deep in the package are the built module and the bundle. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** The name that the template has. */
const PLACEHOLDER = 'my-stack';
const SWITCH_SCRIPT = 'forward_script.bess';
/** Files of the template that have another name in the project: npm ships no `.gitignore`. */
const OTHER_NAMES: Readonly<Record<string, string>> = { gitignore: '.gitignore' };
/** What the project is built with: the versions that this package was built and tested with. */
const TOOLS = ['@types/node', 'typescript'];

/**
 * Makes the project, and says what to do next.
 * @param folder new or empty; its last part is the name of the package
 * @throws Error with one line; nothing is left behind then
 */
export function newStack(folder: string, options: NewStackOptions = {}): void {
  const root = options.packageRoot ?? PACKAGE_ROOT;
  const target = resolve(folder);
  const name = packageName(target);
  checkFolder(folder, target);
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as OwnPackage;
  const dependency = options.tspmd === undefined ? `^${own.version}` : dependencyOf(options.tspmd);
  const files = new Map(templateFiles(join(root, 'templates', 'new-stack'), name));
  files.set(SWITCH_SCRIPT, readFileSync(join(root, 'bess', SWITCH_SCRIPT), 'utf8'));
  files.set('package.json', `${JSON.stringify(packageJson(name, dependency, own), null, 2)}\n`);
  write(target, files);
  say(`${name}: a stack that answers pings, and UDP datagrams to port 7. What to do next:`);
  say('');
  if (target !== process.cwd()) say(`  cd ${relative(process.cwd(), target)}`);
  say('  npm install');
  say('  npm test               # builds it, and tests it on a fake device');
  say('  npm run switch         # then, in three terminals: the switch,');
  say('  npm start              # the stack as 10.0.0.1,');
  say('  npm run ping           # and five pings to it');
}

/** The name of a package in this folder. */
function packageName(target: string): string {
  const name = basename(target);
  const { validForNewPackages, errors = [], warnings = [] } = validatePackageName(name);
  const [fault] = [...errors, ...warnings];
  if (!validForNewPackages) {
    throw new Error(`'${name}' cannot be the name of a package: ${fault} (want something like ${PLACEHOLDER})`);
  }
  if (name === 'tspmd') throw new Error(`'tspmd' cannot depend on itself: choose another name, such as ${PLACEHOLDER}`);
  return name;
}

function checkFolder(folder: string, target: string): void {
  if (!existsSync(dirname(target))) throw new Error(`folder '${dirname(target)}' does not exist: make it first`);
  if (!existsSync(target)) return;
  if (!statSync(target).isDirectory()) throw new Error(`'${folder}' exists and is no folder: choose another name`);
  if (readdirSync(target).length > 0)
    throw new Error(`folder '${folder}' exists and is not empty: choose another name`);
}

/** A path as npm finds it from the project, too; a version as it is. */
function dependencyOf(spec: string): string {
  const path = resolve(spec.replace(/^file:/, ''));
  if (existsSync(path)) return `file:${path}`;
  if (/^(file:|\.|\/)|\.tgz$/.test(spec) && !/^https?:/.test(spec)) {
    throw new Error(`--tspmd ${spec}: there is no such file or folder`);
  }
  return spec;
}

/** Names in the project, and texts. */
function* templateFiles(template: string, name: string): Generator<[string, string]> {
  for (const entry of readdirSync(template, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = relative(template, join(entry.parentPath, entry.name));
    const text = readFileSync(join(template, path), 'utf8');
    yield [OTHER_NAMES[path] ?? path, text.replaceAll(PLACEHOLDER, name)];
  }
}

function packageJson(name: string, dependency: string, own: OwnPackage): object {
  const endpoint = (number: number, command: string): string =>
    `tspmd ${command} --device vhost-user:/tmp/tspmd-vm${number}.sock --ip 10.0.0.${number}/24 --mac 52:54:00:00:00:0${number}`;
  return {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: own.engines,
    scripts: {
      build: 'tsc',
      test: 'npm run build && node --test dist/test/*.test.js',
      switch: `tspmd switch ${SWITCH_SCRIPT}`,
      start: `${endpoint(1, 'run')} --app dist/src/stack.js`,
      ping: `${endpoint(2, 'ping')} --to 10.0.0.1 --count 5`,
    },
    dependencies: { tspmd: dependency },
    devDependencies: Object.fromEntries(TOOLS.map((tool) => [tool, own.devDependencies[tool]])),
  };
}

/** All files, or none. */
function write(target: string, files: ReadonlyMap<string, string>): void {
  const wasThere = existsSync(target);
  try {
    for (const [path, text] of files) {
      mkdirSync(dirname(join(target, path)), { recursive: true });
      writeFileSync(join(target, path), text, { flag: 'wx' });
    }
  } catch (error) {
    for (const path of files.keys()) rmSync(join(target, path.split('/')[0]), { recursive: true, force: true });
    if (!wasThere) rmSync(target, { recursive: true, force: true });
    throw error;
  }
}
