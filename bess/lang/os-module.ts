/** `import os`: the few things of it that scripts for a switch use, over the host. */
import { bindAll, bindArguments } from './arguments.js';
import { fromHost, raise } from './exceptions.js';
import type { HostObject, ScriptHost } from './host.js';
import { requireText } from './operators.js';
import { NativeFunction, type Value } from './values.js';

/** The module `os`. */
export function createOsModule(host: ScriptHost): HostObject {
  const pathOf = (name: string, value: Value): string => requireText(value, `the path of os.${name}()`);
  const unlink = (name: string): NativeFunction =>
    new NativeFunction(name, (args) => {
      const path = pathOf(name, bindAll(name, ['path'], args)[0] as Value);
      fileOperation(() => host.unlink(path));
      return null;
    });
  const getVariable = (name: string): NativeFunction =>
    new NativeFunction(name, (args) => {
      const [key = null, fallback = null] = bindArguments(name, ['key', 'default'], 1, args);
      return host.variable(requireText(key, 'the name of a variable')) ?? fallback;
    });
  const path = namespace('os.path', [
    new NativeFunction('exists', (args) => {
      const file = pathOf('path.exists', bindAll('exists', ['path'], args)[0] as Value);
      return fileOperation(() => host.exists(file));
    }),
    new NativeFunction('join', (args) => joinPaths(args.positional.map((part) => pathOf('path.join', part)))),
  ]);
  const environ: HostObject = {
    ...namespace('os.environ', [getVariable('get')]),
    getItem: (key) => (typeof key === 'string' ? host.variable(key) : undefined),
  };
  return namespace('os', [unlink('unlink'), unlink('remove'), getVariable('getenv')], { path, environ });
}

function fileOperation<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw fromHost(error, true);
  }
}

/** posixpath.join: an absolute part begins anew. */
function joinPaths(parts: readonly string[]): string {
  if (parts.length === 0) raise('TypeError', "join() needs the argument 'path'");
  return parts.reduce((path, part) => {
    if (part.startsWith('/') || path === '') return part;
    return path.endsWith('/') ? path + part : `${path}/${part}`;
  });
}

/** An object that has functions, and other values, by name. */
function namespace(name: string, functions: readonly NativeFunction[], others: Record<string, Value> = {}): HostObject {
  const attributes = new Map<string, Value>(Object.entries(others));
  for (const item of functions) attributes.set(item.name, item);
  return {
    typeName: name,
    getAttribute: (attribute) => attributes.get(attribute),
    describe: () => `<module '${name}'>`,
  };
}
