import { approval } from './approval.ts';
import { child } from './child.ts';
import { condition } from './condition.ts';
import { http } from './http.ts';
import type { StepKind } from './kind.ts';
import { loop } from './loop.ts';
import { deleted, evicted, fails, misspelt, overruns, recovers, works } from './script.ts';

/** What steps are drawn from. A further type of step is a file in this folder and a name in this list. */
export const kinds: readonly StepKind[] = [
  works,
  fails,
  recovers,
  evicted,
  overruns,
  deleted,
  misspelt,
  loop,
  condition,
  http,
  child,
  approval,
];
