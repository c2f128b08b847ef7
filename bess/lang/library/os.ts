/** The parts of Python's module `os` that scripts for a switch use. The host carries out the calls. */
import { codeOf, messageOf, Problem, raise } from '../errors.js';
import type { ScriptHost } from '../host.js';
import { requireText } from '../values/checks.js';
import { type HostObject, NativeFunction, type Value } from '../values/values.js';
import { defineGlobals, defineVariadic } from './functions.js';

/** Makes the module `os`. */
export function createOs(host: ScriptHost): HostObject {
  const unlink = fileFunction('unlink', (path) => {
    host.unlink(path);
    return null;
  });
  const getVariable = (_: null, key: Value = null, otherwise: Value = null): Value =>
    host.variable(requireText(key, 'the name of a variable')) ?? otherwise;
  const path = namespace('os.path', [
    ...defineGlobals({ 'exists(path)': fileFunction('path.exists', (file) => host.exists(file)) }),
    ['join', new NativeFunction('join', defineVariadic('os.path.join', joinPaths).call)],
  ]);
  const environ: HostObject = {
    ...namespace('os.environ', defineGlobals({ 'get(key, default?)': getVariable })),
    getItem: (key) => (typeof key === 'string' ? host.variable(key) : undefined),
  };
  const own = { 'getenv(key, default?)': getVariable, 'remove(path)': unlink, 'unlink(path)': unlink };
  return namespace('os', [...defineGlobals(own), ['environ', environ], ['path', path]]);
}

/** Makes a function of one path that raises the host's errors under Python's names. */
function fileFunction(name: string, act: (path: string) => Value): (_: null, path?: Value) => Value {
  return (_, path = null) => {
    const file = requireText(path, `the path of os.${name}()`);
    try {
      return act(file);
    } catch (error) {
      const code = codeOf(error);
      const type = code === 'ENOENT' ? 'FileNotFoundError' : 'OSError';
      throw new Problem(`${type}: ${messageOf(error)}`, null, code, error);
    }
  };
}

/** Makes an object with these attributes. */
function namespace(name: string, attributes: readonly (readonly [string, Value])[]): HostObject {
  const all = new Map(attributes);
  return {
    typeName: name,
    getAttribute: (attribute) => all.get(attribute),
    attributeNames: () => all.keys(),
    describe: () => `<module '${name}'>`,
  };
}

/** As Python's posixpath.join: an absolute part replaces all parts before it. */
function joinPaths(parts: readonly Value[]): string {
  if (parts.length === 0) raise('TypeError', "os.path.join() needs the argument 'path'");
  return parts
    .map((part) => requireText(part, 'the path of os.path.join()'))
    .reduce((path, part) => {
      if (part.startsWith('/') || path === '') return part;
      return path.endsWith('/') ? path + part : `${path}/${part}`;
    });
}
