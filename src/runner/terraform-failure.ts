import { RunnerError } from './failure.ts';
import type { Diagnostic } from './terraform-messages.ts';

/** What an error of Terraform is about, by its words; the first that fits counts. */
const MEANINGS: readonly { said: RegExp; reason: string }[] = [
  { said: /Error acquiring the state lock|Error locking state/, reason: 'StateLocked' },
  { said: /Saved plan is stale/, reason: 'PlanStale' },
  { said: /Unsupported (Terraform|OpenTofu) Core version/, reason: 'VersionUnsupported' },
  {
    said: /Provider dependency changes detected|Inconsistent dependency lock file|read-?only.*lock file|lock file.*read-?only/i,
    reason: 'LockFileChanged',
  },
  {
    said: /Failed to (query available provider packages|install provider|resolve provider packages)|Required plugins are not installed|Failed to load plugin schemas/,
    reason: 'ProviderUnavailable',
  },
  {
    said: /Failed to download module|Could not download module|Error accessing remote module registry|Module not found/,
    reason: 'ModuleUnavailable',
  },
];

/** Who holds the lock of a state, in Terraform's words. */
export interface LockHolder {
  ID: string;
  Who?: string | undefined;
  Operation?: string | undefined;
  Created?: string | undefined;
  /** More, in words. */
  Info?: string | undefined;
}

/** What is known about a failure beside its errors. */
export interface FailureContext {
  /** What to call it where its words say nothing better. */
  reason: string;
  /** What to say where there are no words. */
  fallback: string;
  /** As the operator said it. Terraform 1.13 shows itself as the holder. */
  holder: LockHolder | undefined;
}

/** Makes a failure of the first error. */
export function terraformFailure(errors: readonly Diagnostic[], context: FailureContext): RunnerError {
  const [first] = errors;
  if (first === undefined) return new RunnerError(context.reason, context.fallback);
  const words = `${first.summary} ${first.detail}`;
  const meaning = MEANINGS.find(({ said }) => said.test(words));
  const holder = context.holder ?? holderIn(first.detail);
  if (meaning?.reason === 'StateLocked' && holder !== undefined) return lockedBy(holder);
  return new RunnerError(meaning?.reason ?? context.reason, sentence(first));
}

/** The error in one line. */
function sentence({ summary, detail, address }: Diagnostic): string {
  const rest = detail.replace(/\s+/g, ' ').trim();
  const where = address === undefined ? '' : `${address}: `;
  return `${where}${summary}${rest === '' || summary.includes(rest) ? '' : `: ${rest}`}`;
}

/** Who holds it stands in the detail, as lines such as `  Who: me@host`. */
function holderIn(detail: string): LockHolder | undefined {
  const value = (name: string) => new RegExp(`^\\s*${name}:\\s*(.*)$`, 'm').exec(detail)?.[1]?.trim();
  const ID = value('ID');
  if (ID === undefined || ID === '') return undefined;
  return { ID, Who: value('Who'), Operation: value('Operation'), Created: value('Created') };
}

function lockedBy({ ID, Who, Operation, Created, Info }: LockHolder): RunnerError {
  const whom = Who === undefined || Who === '' ? 'somebody' : Who;
  const what = Operation === undefined || Operation === '' ? '' : ` for ${Operation}`;
  // The first year stands for a time that nobody knows.
  const when =
    Created === undefined || Created === '' || Created.startsWith('0001') ? '' : ` since ${Created}`;
  const more = Info === undefined || Info === '' ? '' : `, ${Info}`;
  return new RunnerError(
    'StateLocked',
    `The state is locked by ${whom}${what}${when} (lock ${ID}${more}). Wait until that has ended, or let steps wait longer by lockTimeout.`,
  );
}

/** Finds the errors in what is written for people, as `init` does. */
export function errorsInText(text: string): Diagnostic[] {
  const lines = text.split('\n').map((line) => line.replace(/^[│╷╵] ?/, ''));
  return lines.flatMap((line, index) => {
    const summary = /^Error: (.*)$/.exec(line)?.[1];
    return summary === undefined ? [] : [{ severity: 'error', summary, detail: detailAfter(lines, index) }];
  });
}

function detailAfter(lines: readonly string[], index: number): string {
  const rest = lines.slice(index + 1);
  const end = rest.findIndex((line) => /^(Error|Warning): /.test(line));
  return rest
    .slice(0, end === -1 ? undefined : end)
    .join('\n')
    .trim();
}
