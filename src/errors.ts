/**
 * Every error that tspmd throws at its users: one class per kind, each with a `code` that stays the same when the message
 * changes. What a stack of yours throws reaches you as it is in mode `single`, and as the cause of a {@link CoreError}
 * where its core is a thread of its own.
 */

/** `code` of a {@link TspmdError}. */
export type TspmdErrorCode =
  | 'ERR_TSPMD_ABORTED'
  | 'ERR_TSPMD_APP'
  | 'ERR_TSPMD_ARGUMENT'
  | 'ERR_TSPMD_CONFIG'
  | 'ERR_TSPMD_CORE'
  | 'ERR_TSPMD_DEVICE'
  | 'ERR_TSPMD_OWNERSHIP'
  | 'ERR_TSPMD_STATE'
  | 'ERR_TSPMD_WORKER';

/** What all errors of tspmd have in common. */
export abstract class TspmdError extends Error {
  abstract readonly code: TspmdErrorCode;
}

/** A signal ended `init` before the device was open. */
export class AbortedError extends TspmdError {
  override readonly name = 'AbortedError';
  readonly code = 'ERR_TSPMD_ABORTED';
}

/** The app cannot be loaded, its options are wrong, or it does not behave as a stack must. */
export class AppError extends TspmdError {
  override readonly name = 'AppError';
  readonly code = 'ERR_TSPMD_APP';
}

/** An argument of a call is impossible: the text of an address, the number of a core, a flow. */
export class ArgumentError extends TspmdError {
  override readonly name = 'ArgumentError';
  readonly code = 'ERR_TSPMD_ARGUMENT';
}

/** The configuration cannot work. The message has one line per fault. */
export class ConfigError extends TspmdError {
  override readonly name = 'ConfigError';
  readonly code = 'ERR_TSPMD_CONFIG';

  /** @param faults one line each, without line ends */
  constructor(
    readonly faults: readonly string[],
    options?: { readonly cause?: unknown },
  ) {
    super(faults.join('\n'), options);
  }
}

/** The stack of a core that is a thread of its own has failed, or its thread has ended. `cause` is what the stack threw. */
export class CoreError extends TspmdError {
  override readonly name = 'CoreError';
  readonly code = 'ERR_TSPMD_CORE';

  constructor(
    message: string,
    /** Number of the core. */
    readonly core: number,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The device cannot be opened or brought up. `cause` is what the driver threw: a system error has its errno in `code`. */
export class DeviceError extends TspmdError {
  override readonly name = 'DeviceError';
  readonly code = 'ERR_TSPMD_DEVICE';
}

/** A buffer was handed in that is not the caller's: it was released or sent before, or it belongs to another port. */
export class OwnershipError extends TspmdError {
  override readonly name = 'OwnershipError';
  readonly code = 'ERR_TSPMD_OWNERSHIP';
}

/** The call does not fit the state: the port was stopped, has no app, or somebody waits already. */
export class StateError extends TspmdError {
  override readonly name = 'StateError';
  readonly code = 'ERR_TSPMD_STATE';
}

/** A kernel-bypass thread (Rx, Tx or RxTx worker) has failed, which is no stack's fault. */
export class WorkerError extends TspmdError {
  override readonly name = 'WorkerError';
  readonly code = 'ERR_TSPMD_WORKER';
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
