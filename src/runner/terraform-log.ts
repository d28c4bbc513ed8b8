import type { Log } from './log.ts';
import type { Mask, MaskStream } from './mask.ts';
import { type Message, renderDiagnostic } from './terraform-messages.ts';

/** What the plan says better, or what would say values of outputs. */
const SILENT = new Set(['planned_change', 'resource_drift', 'change_summary', 'outputs']);

/** What one provisioner prints. */
interface Printed {
  masked: MaskStream;
  /** The line that has not ended yet. */
  line: string;
}

/**
 * Writes the messages of Terraform as text. What a provisioner prints comes in messages that end anywhere, between those
 * of others: the output of each goes through a mask of its own, so that a secret in two messages is hidden too.
 */
export class TerraformLog {
  private readonly log: Log;
  private readonly mask: Mask;
  private readonly printed = new Map<string, Printed>();

  constructor(log: Log, mask: Mask) {
    this.log = log;
    this.mask = mask;
  }

  show(message: Message): void {
    const { type, diagnostic } = message;
    if (type === 'provision_progress') return this.showPrinted(message);
    if (/^provision_(complete|errored)$/.test(type)) this.endPrinted(nameOf(message));
    if (diagnostic !== undefined) return renderDiagnostic(diagnostic).forEach((line) => this.log.line(line));
    if (SILENT.has(type) && message.changes?.operation !== 'apply') return;
    this.log.line(message['@message']);
  }

  /** Writes what was held back. */
  end(): void {
    for (const name of this.printed.keys()) this.endPrinted(name);
  }

  private showPrinted(message: Message): void {
    const name = nameOf(message);
    const printed = this.printed.get(name) ?? { masked: this.mask.stream(), line: '' };
    this.printed.set(name, printed);
    this.writeLines(name, printed, printed.masked.push(`${message.hook?.output ?? ''}\n`));
  }

  private endPrinted(name: string): void {
    const printed = this.printed.get(name);
    if (printed === undefined) return;
    this.printed.delete(name);
    this.writeLines(name, printed, printed.masked.end());
    if (printed.line !== '') this.log.line(`${name}: ${printed.line}`);
  }

  private writeLines(name: string, printed: Printed, text: string): void {
    const lines = (printed.line + text).split('\n');
    printed.line = lines.pop() ?? '';
    for (const line of lines) this.log.line(`${name}: ${line}`);
  }
}

const nameOf = ({ hook }: Message) =>
  `${hook?.resource?.addr ?? 'provisioner'} (${hook?.provisioner ?? '?'})`;
