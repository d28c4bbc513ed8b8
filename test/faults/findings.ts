/** What the campaign promises that there is none of. */
export type Verdict =
  /** A run that does not end, or an object that a status speaks of and that never was. */
  | 'Lost'
  /** Something that was made, or runs, twice; or that was deleted for no reason. */
  | 'Twice'
  /** An end, a value or a status that is not what the semantics say. */
  | 'Wrong';

export interface Finding {
  verdict: Verdict;
  /** The run, or another name of what it is about. */
  about: string;
  message: string;
}

export const finding =
  (verdict: Verdict, about: string) =>
  (message: string): Finding => ({ verdict, about, message });
