/** The app `http`, for the layout `single`: it prints its report as a line of JSON at the signal SIGUSR2. */
import createHttp from '../../../src/apps/http.js';
import type { Core } from '../../../src/link/core.js';
import type { Stack, StackOptions } from '../../../src/stack.js';

export default function createReportedHttp(core: Core, options: StackOptions): Stack {
  const http = createHttp(core, options);
  process.on('SIGUSR2', () => process.stdout.write(`report ${JSON.stringify(http.report?.())}\n`));
  return http;
}
