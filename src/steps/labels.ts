import { createHash } from 'node:crypto';
import { GROUP } from '../api/common.ts';

/** Labels of everything that belongs to a run. */
export const LABELS = {
  workflow: `${GROUP}/workflow`,
  run: `${GROUP}/run`,
  step: `${GROUP}/step`,
  instance: `${GROUP}/instance`,
  attempt: `${GROUP}/attempt`,
} as const;

/** Annotation of a Job: a version of the cluster that is older than the Job, and so than its pod. */
export const MADE_AFTER = `${GROUP}/made-after`;

/** Label of the pods that our runner works in: what they leave is a report. */
export const RUNNER_LABEL = `${GROUP}/runner`;

/** Label of the pods that find out whether the source of a project can be reached. */
export const PROJECT_LABEL = `${GROUP}/project`;

/** Label of the Secrets that steps may have the operator read for them. */
export const USE_LABEL = `${GROUP}/use`;

const LABEL_VALUE_LENGTH = 63;

/** A name as a label value: itself if it can be one, otherwise as much of its start as can be, and a hash. */
export function labelValue(name: string): string {
  if (name.length <= LABEL_VALUE_LENGTH && /^[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/.test(name)) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 10);
  const start = name.replaceAll(/[^-\w.]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return start === '' ? hash : `${start.slice(0, LABEL_VALUE_LENGTH - hash.length - 1)}-${hash}`;
}

/** What tells one attempt of a run from all others. */
export interface AttemptOf {
  /** The run that it belongs to. */
  run: { name: string; workflow: string };
  /** Name of its row in the status: the step, or an instance of it such as `plan[us]`. */
  step: string;
  attempt: number;
}

/** The labels of what an attempt is made of. */
export function attemptLabels({ run, step, attempt }: AttemptOf): Record<string, string> {
  const [, name = step, key] = /^([^[]+)\[(.*)\]$/.exec(step) ?? [];
  return {
    [LABELS.workflow]: labelValue(run.workflow),
    [LABELS.run]: labelValue(run.name),
    [LABELS.step]: name,
    ...(key === undefined ? {} : { [LABELS.instance]: labelValue(key) }),
    [LABELS.attempt]: String(attempt),
  };
}
