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

/**
 * Makes a failure of the first error.
 * @param reason what to call it where its words say nothing better
 */
export function terraformFailure(
  errors: readonly Diagnostic[],
  reason: string,
  fallback: string,
): RunnerError {
  const [first] = errors;
  if (first === undefined) return new RunnerError(reason, fallback);
  const words = `${first.summary} ${first.detail}`;
  const meaning = MEANINGS.find(({ said }) => said.test(words));
  if (meaning?.reason === 'StateLocked') return stateLocked(first);
  return new RunnerError(meaning?.reason ?? reason, sentence(first));
}

/** The error in one line. */
function sentence({ summary, detail, address }: Diagnostic): string {
  const rest = detail.replace(/\s+/g, ' ').trim();
  const where = address === undefined ? '' : `${address}: `;
  return `${where}${summary}${rest === '' || summary.includes(rest) ? '' : `: ${rest}`}`;
}

/** Who holds it stands in the detail, as lines such as `  Who: me@host`. */
function stateLocked(error: Diagnostic): RunnerError {
  const value = (name: string) => new RegExp(`^\\s*${name}:\\s*(.*)$`, 'm').exec(error.detail)?.[1]?.trim();
  const [id, who, operation, since] = ['ID', 'Who', 'Operation', 'Created'].map(value);
  if (id === undefined || id === '') return new RunnerError('StateLocked', sentence(error));
  const whom = who === undefined || who === '' ? 'somebody' : who;
  const what = operation === undefined || operation === '' ? '' : ` for ${operation}`;
  const when = since === undefined || since.startsWith('0001') ? '' : ` since ${since}`;
  return new RunnerError(
    'StateLocked',
    `The state is locked by ${whom}${what}${when} (lock ${id}). Wait until that has ended, or give it longer by lockTimeout.`,
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
