/**
 * Every error that users of tspmd can get: one class per kind, each with a `code` that stays the same when the message
 * changes. What your stack throws reaches you unchanged with mode `single`, and as the cause of a {@link CoreError}
 * with `1kb` and `2kb`.
 */

/** `code` of a {@link TspmdError}. */
export type TspmdErrorCode =
  | 'ERR_TSPMD_ABORTED'
  | 'ERR_TSPMD_APP'
  | 'ERR_TSPMD_ARGUMENT'
  | 'ERR_TSPMD_CONFIG'
  | 'ERR_TSPMD_CORE'
  | 'ERR_TSPMD_DEVICE'
  | 'ERR_TSPMD_LEASE'
  | 'ERR_TSPMD_OWNERSHIP'
  | 'ERR_TSPMD_STATE'
  | 'ERR_TSPMD_WORKER';

/** The base class of all errors of tspmd. */
export abstract class TspmdError extends Error {
  abstract readonly code: TspmdErrorCode;
}

/** The signal aborted `init` before the device was open, or before it had an address by DHCP. */
export class AbortedError extends TspmdError {
  override readonly name = 'AbortedError';
  readonly code = 'ERR_TSPMD_ABORTED';
}

/** The app cannot be loaded, its options are wrong, or it does not behave as a stack must. */
export class AppError extends TspmdError {
  override readonly name = 'AppError';
  readonly code = 'ERR_TSPMD_APP';
}

/** An argument of a call is wrong: the text of an address, the number of a core, a flow. */
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

/** With `1kb` and `2kb`: the stack of a core has failed, or its thread has ended. `cause` is what the stack threw. */
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

/**
 * The device cannot be opened or brought up. `cause` is what the driver threw: a system error has its errno in `code`.
 */
export class DeviceError extends TspmdError {
  override readonly name = 'DeviceError';
  readonly code = 'ERR_TSPMD_DEVICE';
}

/** With `ip: 'dhcp'`: no DHCP server has given the port an address within 30 s. */
export class LeaseError extends TspmdError {
  override readonly name = 'LeaseError';
  readonly code = 'ERR_TSPMD_LEASE';
}

/**
 * A buffer was released or sent that the caller does not own: it was released or sent before, or it belongs to another
 * port.
 */
export class OwnershipError extends TspmdError {
  override readonly name = 'OwnershipError';
  readonly code = 'ERR_TSPMD_OWNERSHIP';
}

/** The call does not fit the state: the port was stopped, has no app, or another call waits already. */
export class StateError extends TspmdError {
  override readonly name = 'StateError';
  readonly code = 'ERR_TSPMD_STATE';
}

/** A kernel-bypass thread (Rx, Tx or RxTx worker) has failed. No stack caused that. */
export class WorkerError extends TspmdError {
  override readonly name = 'WorkerError';
  readonly code = 'ERR_TSPMD_WORKER';
}
