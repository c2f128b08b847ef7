/**
 * `tspmd/switch`: runs `.bess` scripts in the embedded switch from a program. Begin with {@link openSwitch}.
 * @module tspmd/switch
 */
export type { StopSignal } from '../drivers/stop-signal.js';
export { ScriptError, SwitchError, type SwitchErrorCode } from './errors.js';
export { type OpenSwitchOptions, openSwitch, type RunningSwitch, type SwitchPort } from './open-switch.js';
export type { PortCounters } from './ports/port.js';
export type { Drops, GateStats, ModuleStats, PortStats, Summary, SwitchStats, WorkerStats } from './stats.js';
