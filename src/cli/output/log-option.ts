/** `--log`: whether the command writes lines for people, or one object of JSON per event. */
import { type Command, Option } from 'commander';
import { LOG_FORMS, type LogForm, tellErrText, useLogForm } from '../../../drivers/log/event-log.js';

/** Adds the option. It holds as soon as it is read, also for an error in an option behind it. */
export function logOption(command: Command): Command {
  command.addOption(
    new Option('--log <form>', 'lines for people, or one object of JSON per event (docs/observe.md)')
      .choices([...LOG_FORMS])
      .default('text'),
  );
  return command.on('option:log', () => useLogForm(command.opts<{ log: LogForm }>().log));
}

/** Whether the arguments ask for JSON: an error in an option before `--log` is found when that was not read yet. */
function asksForJson(args: readonly string[]): boolean {
  return args.includes('--log=json') || args.some((arg, i) => arg === '--log' && args[i + 1] === 'json');
}

/**
 * Writes what is wrong with the arguments.
 * @param text as commander has it
 * @param write takes text for stderr
 */
export function tellUsageError(text: string, write: (text: string) => void): void {
  const message = text.replace(/^error: /, '');
  if (!asksForJson(process.argv)) {
    write(`tspmd: ${message}`);
    return;
  }
  useLogForm('json');
  tellErrText(message.trim(), { event: 'error', exitCode: 2 });
}
