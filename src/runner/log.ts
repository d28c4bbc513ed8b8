import type { Mask, MaskStream } from './mask.ts';

/** The log of the step, as `kubectl logs` shows it. Secrets are hidden in all that goes through it. */
export class Log {
  private readonly masked: MaskStream;
  private readonly write: (text: string) => void;
  /** Milliseconds, of any clock. */
  private readonly now: () => number;

  constructor(mask: Mask, write: (text: string) => void, now: () => number) {
    this.masked = mask.stream();
    this.write = write;
    this.now = now;
  }

  /** Writes lines of a program. */
  line(text: string): void {
    this.show(this.masked.push(`${text}\n`));
  }

  /** Writes a line of our own. */
  say(text: string): void {
    this.line(`[signalbox] ${text}`);
  }

  /** Does a part of the work and says how long it took, also when it fails. */
  async stage<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = this.now();
    try {
      return await work();
    } finally {
      this.say(`${name}: ${((this.now() - start) / 1000).toFixed(2)} s`);
    }
  }

  /** Writes what was held back. */
  end(): void {
    this.show(this.masked.end());
  }

  private show(text: string): void {
    if (text !== '') this.write(text);
  }
}
