/** Looks now and then whether ports still work: a socket that somebody has removed, an interface that is down. */
import type { Port } from './port.js';

export class PortWatch {
  private readonly problems = new Map<Port, string>();

  constructor(
    private readonly ports: readonly Port[],
    /** Gets a line when a port has a problem, once for each, and a line when it works again. */
    private readonly log: (line: string) => void,
  ) {}

  /** Asks every port; a system call or a few for each. */
  look(): void {
    for (const port of this.ports) {
      const { problem } = port.device;
      const known = this.problems.get(port) ?? null;
      if (problem === known) continue;
      if (problem === null) {
        this.problems.delete(port);
        this.log(`port ${port.name}: ${port.description} works now`);
      } else {
        this.problems.set(port, problem);
        this.log(`port ${port.name}: ${problem}`);
      }
    }
  }
}
