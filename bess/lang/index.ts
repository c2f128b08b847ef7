/** The language of `.bess` scripts: Python's subset and BESS's sugar, run against a host that makes the modules. */
export { bindArguments } from './arguments.js';
export type { Script } from './ast.js';
export { repr, str, typeName } from './describe.js';
export { PyDict } from './dict.js';
export { BessScriptError } from './errors.js';
export { BESS_ERROR } from './exceptions.js';
export { type CallArguments, HostError, type HostObject, type ScriptHost } from './host.js';
export { runScript } from './interpreter.js';
export { parse } from './parse.js';
export { fromPlain, type Plain, type PlainMap, toPlain } from './plain.js';
export { NativeFunction, PyFloat, PyList, PyTuple, type Value } from './values.js';
