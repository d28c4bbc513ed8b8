import { runnerReport } from '../api/runner.ts';
import type { Result } from '../engine/model.ts';

/** What a runner left, in the words of the engine; or what is wrong with it. */
type Told = Pick<Result, 'reason' | 'message' | 'summary' | 'outputs' | 'details'>;

/** Reads the termination message of a runner. It comes from a pod, so that nothing about it is taken for granted. */
export function reportOf(text: string): { ok: true; told: Told } | { ok: false; problem: string } {
  const parsed = runnerReport.safeParse(fromJson(text));
  if (!parsed.success)
    return { ok: false, problem: `The runner left no report that can be read: ${text.slice(0, 200)}` };
  const { reason, message, summary, outputs, terraform, ansible } = parsed.data;
  const details = { ...(terraform ? { terraform } : {}), ...(ansible ? { ansible } : {}) };
  return {
    ok: true,
    told: {
      reason,
      ...(message === undefined ? {} : { message }),
      ...(summary === undefined ? {} : { summary }),
      ...(outputs === undefined || Object.keys(outputs).length === 0 ? {} : { outputs }),
      ...(terraform || ansible ? { details } : {}),
    },
  };
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The commit that a runner found, if it says so. */
export function commitOf(text: string): string | undefined {
  const parsed = runnerReport.safeParse(fromJson(text));
  return parsed.success ? parsed.data.commit : undefined;
}
