/** The program of `tspmd exec`: where it is, and how Node starts it as its own main program. */
import { createRequire, Module } from 'node:module';
import { resolve } from 'node:path';
import { ConfigError } from '../../errors.js';

/**
 * Finds a program as `node PROGRAM` does: also without its extension, and the main file of a folder.
 * @returns its absolute path, as `process.argv[1]` has it
 * @throws ConfigError when there is none
 */
export function findProgram(program: string): string {
  const path = resolve(program);
  try {
    createRequire(path).resolve(path);
  } catch {
    throw new ConfigError([`program ${program}: there is no such file; options of tspmd go before the program`]);
  }
  return path;
}

/**
 * Starts a program in this thread, in the next turn of the event loop, as Node starts its main program: CommonJS, an
 * ES module, or TypeScript where this Node runs it. What it throws is an uncaught exception.
 */
export function startProgram(path: string, args: readonly string[]): void {
  process.argv.splice(1, process.argv.length, path, ...args);
  setImmediate(Module.runMain);
}
