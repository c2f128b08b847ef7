/**
 * Writes events to stdout and stderr: as lines for people, or as one object of JSON per event (`--log json`). This is
 * the one place that decides which.
 */
import { EVENTS, type EventSink, type LogEvent } from './events.js';
import { LineWriter } from './line-writer.js';
import { jsonLine, oneLine, ownLines } from './safe-text.js';

export const LOG_FORMS = ['text', 'json'] as const;
export type LogForm = (typeof LOG_FORMS)[number];

/** What lines on stderr begin with. */
const PREFIX = 'tspmd: ';

let form: LogForm = 'text';
let watcher: EventSink | null = null;

/** Returns the form of this thread. A new thread begins with `text`. */
export const logForm = (): LogForm => form;

/** Chooses the form for this thread. */
export function useLogForm(chosen: LogForm): void {
  form = chosen;
  if (form === 'json') LineWriter.dropped = (count, line) => jsonOf(line, { event: 'lines-dropped', count });
}

/** Shows each event that this thread writes to `sink`, too. */
export function watchEvents(sink: EventSink): void {
  watcher = sink;
}

/** Writes an event to stdout. The text may have several lines. */
export const tellOut: EventSink = (text, event) => writeText(process.stdout, text, event);

/** Writes an event to stderr, as a line that begins with `tspmd: `. */
export const tellErr: EventSink = (line, event) => writeLine(PREFIX, line, event);

/** Writes an event to stderr, as a line without more. */
export const tellErrPlain: EventSink = (line, event) => writeLine('', line, event);

/** Writes text of our own with several lines to stderr. */
export const tellErrText: EventSink = (text, event) => writeText(process.stderr, text, event);

/** Returns an event as one line for stderr, for a thread that writes by other means. */
export function lineOf(line: string, event: LogEvent): string {
  return form === 'json' ? jsonOf(oneLine(line), event) : oneLine(`${PREFIX}${line}`);
}

function writeText(stream: NodeJS.WriteStream, text: string, event: LogEvent): void {
  const writer = LineWriter.of(stream);
  if (form === 'json') writer.record(jsonOf(ownLines(text), event));
  else writer.text(text);
  watcher?.(text, event);
}

function writeLine(prefix: string, line: string, event: LogEvent): void {
  const writer = LineWriter.of(process.stderr);
  if (form === 'json') writer.record(jsonOf(oneLine(line), event));
  else writer.line(`${prefix}${line}`);
  watcher?.(line, event);
}

function jsonOf(message: string, { event, level = EVENTS[event].level, ...fields }: LogEvent): string {
  return jsonLine({ time: new Date().toISOString(), level, event, message, ...fields });
}
