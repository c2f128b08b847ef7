/**
 * The events that the processes of tspmd report, by their stable names. docs/observe.md says what each means; a test
 * compares the two.
 */

export type Level = 'info' | 'warning' | 'error';

interface EventShape {
  readonly level: Level;
  /** Fields that every event of this name has. */
  readonly always: readonly string[];
  /** Fields that only some have. */
  readonly sometimes: readonly string[];
}

export const EVENTS = {
  ready: {
    level: 'info',
    always: ['kind'],
    sometimes: ['address', 'mac', 'device', 'mode', 'app', 'kernelPorts', 'ports', 'modules', 'script'],
  },
  metrics: { level: 'info', always: ['url'], sometimes: [] },
  page: { level: 'info', always: ['url'], sometimes: [] },
  offloads: { level: 'info', always: ['offloads'], sometimes: [] },
  lease: {
    level: 'info',
    always: ['address'],
    sometimes: ['server', 'seconds', 'gateway', 'dns', 'domain', 'mtu', 'reason'],
  },
  link: { level: 'info', always: ['state', 'reason'], sometimes: [] },
  unreachable: { level: 'warning', always: ['mac'], sometimes: [] },
  warning: { level: 'warning', always: [], sometimes: [] },
  'core-failure': { level: 'error', always: ['core', 'reason'], sometimes: [] },
  'control-fault': { level: 'warning', always: ['reason'], sometimes: [] },
  'metrics-fault': { level: 'error', always: ['reason'], sometimes: [] },
  hang: { level: 'error', always: ['thread', 'state', 'ends'], sometimes: [] },
  'hang-over': { level: 'info', always: ['thread'], sometimes: [] },
  counters: { level: 'info', always: ['counters'], sometimes: [] },
  rates: {
    level: 'info',
    always: ['thread'],
    sometimes: ['rxPackets', 'txPackets', 'rxBits', 'txBits', 'dropped', 'held', 'idle', 'rings'],
  },
  stopped: { level: 'info', always: ['received', 'sent', 'dropped'], sometimes: [] },
  totals: { level: 'info', always: ['app', 'core', 'totals'], sometimes: [] },
  port: { level: 'info', always: ['port', 'state', 'reason'], sometimes: [] },
  'port-problem': { level: 'warning', always: ['port', 'problem'], sometimes: [] },
  'port-notice': { level: 'warning', always: ['port', 'kind', 'reason'], sometimes: [] },
  'unknown-station': { level: 'warning', always: ['port', 'mac'], sometimes: [] },
  suppressed: { level: 'warning', always: ['kind', 'count', 'seconds'], sometimes: ['port'] },
  'lines-dropped': { level: 'warning', always: ['count'], sometimes: [] },
  error: { level: 'error', always: ['exitCode'], sometimes: [] },
  trace: { level: 'error', always: [], sometimes: [] },
} as const satisfies Record<string, EventShape>;

export type EventName = keyof typeof EVENTS;

/** What a field can be: what JSON has; objects and lists are of such values. */
export type FieldValue = string | number | boolean | null | object;

type Always<Name extends EventName> = (typeof EVENTS)[Name]['always'][number];
type Sometimes<Name extends EventName> = (typeof EVENTS)[Name]['sometimes'][number];

/** An event without its message. */
export type LogEvent = {
  [Name in EventName]: { readonly event: Name; readonly level?: Level } & {
    readonly [Field in Always<Name>]: FieldValue;
  } & { readonly [Field in Sometimes<Name>]?: FieldValue | undefined };
}[EventName];

/** Takes an event and the line that says it to people. A function that takes only lines is one, too. */
export type EventSink = (line: string, event: LogEvent) => void;
