/**
 * A stack whose thread hangs: in a write(2) to an eventfd that is blocking and full, or without end in JavaScript. It
 * hangs when the file that the option `file` names appears, or when the stack is stopped.
 */
import { existsSync, writeSync } from 'node:fs';
import { native } from '../../../drivers/libc/ffi/native.js';
import { eventfd } from '../../../drivers/libc/index.js';
import type { Stack } from '../../../src/index.js';
import { fillCounter, makeBlocking } from '../libc/hostile-eventfd.js';

function hangInKernel(): void {
  const fd = eventfd();
  fillCounter(fd);
  makeBlocking(fd);
  writeSync(1, 'hangs now\n');
  native.eventfdWrite(fd, 1);
}

export default function create(_core: unknown, options: Record<string, string>): Stack {
  const { file = '', how = 'kernel' } = options;
  return {
    poll(): number {
      if (!existsSync(file)) return 0;
      if (how === 'busy') for (;;);
      hangInKernel();
      return 0;
    },
    maxSleepMs: () => 50,
    stop(): void {
      if (how === 'stop') hangInKernel();
    },
  };
}
