/**
 * `npm run demo`: two endpoints find each other by ARP, and exchange pings and UDP datagrams through the embedded
 * switch.
 */
import { Command, Option } from 'commander';
import { watchOutput } from '../../src/cli/output/output-end.js';
import { untilStopped } from '../../src/cli/shutdown.js';
import type { Mode } from '../../src/index.js';
import { isClean, render, toJson } from './report.js';
import { runScenario } from './scenario.js';

const options = new Command('npm run demo --')
  .description('run two endpoints over the embedded switch, each in a process of its own')
  .addOption(
    new Option('--mode <mode>', 'thread layout of the endpoints').choices(['single', '1kb', '2kb']).default('single'),
  )
  .option('--json', 'print only the result, as JSON')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse()
  .opts<{ mode: Mode; json?: boolean }>();

watchOutput((line) => process.stderr.write(`demo: ${line}\n`));
try {
  const result = await runScenario(options.mode, untilStopped());
  process.stdout.write(options.json ? `${JSON.stringify(toJson(result))}\n` : render(result));
  process.exitCode = isClean(result) ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
