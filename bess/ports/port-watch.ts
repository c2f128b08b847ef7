/** Checks whether ports still work, and reports problems such as a removed socket or an interface that is down. */
import type { EventSink } from '../../drivers/log/events.js';
import type { Port } from './port.js';

export class PortWatch {
  /** Problems that were reported and are not over. */
  private readonly problems = new Map<Port, string>();

  constructor(
    private readonly ports: readonly Port[],
    /** Called with a line when a port gets a problem, and when the port works again. */
    private readonly log: EventSink,
  ) {}

  /** Checks every port. Costs a few system calls per port. */
  check(): void {
    for (const port of this.ports) {
      const { problem } = port.device;
      const known = this.problems.get(port) ?? null;
      if (problem === known) continue;
      if (problem === null) {
        this.problems.delete(port);
        const event = { event: 'port-problem', level: 'info', port: port.name, problem } as const;
        this.log(`port ${port.name}: ${port.description} works now`, event);
      } else {
        this.problems.set(port, problem);
        this.log(`port ${port.name}: ${problem}`, { event: 'port-problem', port: port.name, problem });
      }
    }
  }
}
