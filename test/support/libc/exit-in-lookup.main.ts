/**
 * Exits while a thread looks up functions of the C library, as it does when it starts a native thread. The end of the
 * process terminates the thread at an arbitrary point; prints `exit`.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { native } from '../../../drivers/libc/ffi/native.js';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.once('message', () => {
    process.stdout.write('exit\n');
    process.exit(3);
  });
} else {
  parentPort?.postMessage('looks up');
  for (;;) native.functionAddress('close');
}
