/** What a service manager, such as systemd, tells a service in its environment (sd_notify(3), sd_watchdog_enabled(3)). */

export interface ServiceEnvironment {
  /** The socket that takes notifications: a path, or a name in the abstract namespace after `@`. */
  readonly socket: string;
  /** A service that gives no sign of life for this long is ended, in ms; 0: nobody waits for one. */
  readonly watchdogMs: number;
}

/**
 * @param pid of this process: the watchdog may be meant for another one
 * @returns null when no service manager takes notifications
 */
export function readServiceEnvironment(
  { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: usec = '', WATCHDOG_PID: owner = '' }: NodeJS.ProcessEnv,
  pid: number,
): ServiceEnvironment | null {
  // There is also vsock:, for virtual machines as a whole.
  if (!/^[/@]./.test(socket)) return null;
  const isOurs = owner === '' || owner === String(pid);
  const watchdogMs = isOurs && /^\d{1,15}$/.test(usec) ? Number(usec) / 1000 : 0;
  return { socket, watchdogMs };
}
