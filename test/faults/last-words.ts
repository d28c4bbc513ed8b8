/** Longest text that is kept. */
const LENGTH = 2000;

/**
 * Why a process ended by itself, from all that it wrote: the error that it printed. What it logs are lines of JSON,
 * and those may follow that error, or speak of others that it had got over.
 */
export function lastWordsOf(written: string): string {
  const printed = written
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'))
    .join('\n');
  return (printed || written).slice(-LENGTH);
}
