/**
 * SIGUSR1, at which a program prints its counters. Without a listener, Node opens its debugger at this signal, so a program
 * listens before anybody can find it.
 */
export class CountersSignal {
  /** Prints the counters. While it is null, a signal does nothing. */
  print: (() => void) | null = null;
  private isDue = false;

  constructor() {
    process.on('SIGUSR1', this.onSignal);
  }

  close(): void {
    process.off('SIGUSR1', this.onSignal);
    this.print = null;
  }

  /** Thousands of signals may have come since the last turn of the event loop: they get one answer. */
  private readonly onSignal = (): void => {
    if (this.isDue) return;
    this.isDue = true;
    setImmediate(() => {
      this.isDue = false;
      this.print?.();
    });
  };
}
