/**
 * Waits until all calls have ended, and only then throws what the first of them threw. What still went on behind the
 * back of a failed reconcile would meet the next one of the same key.
 */
export async function settled(calls: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(calls);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure) throw failure.reason;
}
