/** `tspmd new`: makes a project from the files of `templates/new-stack`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import validatePackageName from 'validate-npm-package-name';
import { print } from './output/lines.js';

export interface NewStackOptions {
  /** The tspmd that the project depends on: a version, or the path of a tarball or folder. Default: this version. */
  readonly tspmd?: string;
  /** Root folder of this package. */
  readonly packageRoot?: string;
}

/** The parts of our own package.json that the project's package.json takes over. */
interface OwnPackage {
  readonly version: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** The path is the same from `dist/src/cli` and from the bundle. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** The project's name in the template. */
const PLACEHOLDER = 'my-stack';
const SWITCH_SCRIPT = 'forward_script.bess';
/** Files that have another name in the template, because npm does not publish a `.gitignore`. */
const OTHER_NAMES: Readonly<Record<string, string>> = { gitignore: '.gitignore' };
/** Development dependencies of the project. It gets the versions that this package is built and tested with. */
const TOOLS = ['@types/node', 'typescript'];

/**
 * Makes the project, and prints the next steps.
 * @param folder a new or empty folder; its last part becomes the name of the package
 * @throws Error with one line when that is not possible; it leaves no files behind
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
  print(`${name} has a stack that answers pings, and UDP datagrams to port 7. Next steps:`);
  print('');
  if (target !== process.cwd()) print(`  cd ${relative(process.cwd(), target)}`);
  print('  npm install');
  print('  npm test               # builds the stack, and tests it on a fake device');
  print('  npm run switch         # in a first terminal: runs the switch');
  print('  npm start              # in a second terminal: runs the stack as 10.0.0.1');
  print('  npm run ping           # in a third terminal: sends five pings to the stack');
}

/** Returns the name of the package in this folder. */
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
  if (!statSync(target).isDirectory()) throw new Error(`'${folder}' exists and is not a folder: choose another name`);
  if (readdirSync(target).length > 0)
    throw new Error(`folder '${folder}' exists and is not empty: choose another name`);
}

/** Returns the dependency for package.json. A path becomes absolute, so that npm finds it from the project. */
function dependencyOf(spec: string): string {
  const path = resolve(spec.replace(/^file:/, ''));
  if (existsSync(path)) return `file:${path}`;
  if (/^(file:|\.|\/)|\.tgz$/.test(spec) && !/^https?:/.test(spec)) {
    throw new Error(`--tspmd ${spec}: there is no such file or folder`);
  }
  return spec;
}

/** Yields the name and the text of each file of the project that comes from the template. */
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

/** Writes all files. After an error it removes those that it has written. */
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
