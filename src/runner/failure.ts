/** Ends the step as failed, for a reason that its users are told. */
export class RunnerError extends Error {
  override name = 'RunnerError';
  /** CamelCase, for machines. */
  readonly reason: string;

  /** @param message says what is wrong and what to do about it, as sentences */
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The step was stopped from outside before it had changed anything. */
export function interrupted(during: string): RunnerError {
  return new RunnerError('Interrupted', `The step was stopped during ${during}; it had changed nothing yet.`);
}

/** What an error says, whatever was thrown. */
export const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
