/**
 * One row's hashing in a thread of its own, as a port has a thread that hashes: V8 compiles closures that a thread has once
 * for their very tables, which those of four rows in one thread would not be.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { coreWork, measureNs, toeplitzWork, type WorkName } from './hashing.js';

const { kind, version } = workerData as WorkName;
const work = kind === 'toeplitz' ? toeplitzWork(version) : coreWork(kind, version);

parentPort?.on('message', (milliseconds: number) => parentPort?.postMessage(measureNs(work, milliseconds)));
// What all hash, and what comes of it, for who compares.
const { run, ...rest } = work;
parentPort?.postMessage({ ...rest, all: run() });
