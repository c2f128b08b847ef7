/** `tspmd get` on stderr: how far the download is. One line on a terminal, a line per second elsewhere. */

const TERMINAL_MS = 200;
const LINE_MS = 1000;
const ERASE_LINE = '\r\x1b[K';

export class Progress {
  private readonly timer: NodeJS.Timeout;
  private readonly isTerminal = process.stderr.isTTY === true;
  private readonly start = performance.now();
  private received = 0;
  private total = -1;

  constructor(private readonly write: (text: string) => void) {
    this.timer = setInterval(() => this.show(), this.isTerminal ? TERMINAL_MS : LINE_MS);
  }

  /** @param total bytes of the whole content, -1 when it is not known */
  update(received: number, total: number): void {
    this.received = received;
    this.total = total;
  }

  /** Shows the last state, and ends. */
  stop(): void {
    clearInterval(this.timer);
    this.show();
    if (this.isTerminal) this.write('\n');
  }

  private show(): void {
    const { received, total } = this;
    const seconds = (performance.now() - this.start) / 1000;
    const part = total > 0 ? ` of ${megabytes(total)}, ${Math.floor((100 * received) / total)} %` : '';
    const line = `${megabytes(received)}${part}, ${megabytes(received / Math.max(seconds, 0.001))}/s`;
    this.write(this.isTerminal ? `${ERASE_LINE}${line}` : `${line}\n`);
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
