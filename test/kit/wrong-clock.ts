import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** The clock of an operator, which a test can set wrong at any time. */
export interface WrongClock extends AsyncDisposable {
  /** Flag of Node for the operator. */
  readonly flag: string;
  /** Sets it ahead by so many milliseconds, or behind; 0 puts it right. */
  set(aheadMs: number): Promise<void>;
}

/** A clock that is right until it is set. */
export async function createWrongClock(): Promise<WrongClock> {
  const folder = await mkdtemp(path.join(tmpdir(), 'clock-'));
  const file = path.join(folder, 'ahead');
  const address = pathToFileURL(path.join(import.meta.dirname, 'wrong-date.ts'));
  address.searchParams.set('file', file);
  async function set(aheadMs: number): Promise<void> {
    // It is read while it is written.
    await writeFile(`${file}.next`, String(aheadMs));
    await rename(`${file}.next`, file);
  }
  await set(0);
  return {
    flag: `--import=${address.href}`,
    set,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
