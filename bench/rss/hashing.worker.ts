/**
 * The thread that hashes for one row. Each row has a thread of its own, as a port has one thread that hashes, so that
 * each closure exists once per thread (docs/v8.md, "Bursts as closures").
 */
import { parentPort, workerData } from 'node:worker_threads';
import { coreWork, measureNs, toeplitzWork, type WorkName } from './hashing.js';

const { kind, version } = workerData as WorkName;
const work = kind === 'toeplitz' ? toeplitzWork(version) : coreWork(kind, version);

parentPort?.on('message', (milliseconds: number) => parentPort?.postMessage(measureNs(work, milliseconds)));
// The benchmark gives the same tuples to the peers, and compares the hashes.
const { run, ...rest } = work;
parentPort?.postMessage({ ...rest, all: run() });
