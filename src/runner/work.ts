import type { RunnerReport, RunnerTask } from '../api/runner.ts';
import type { RunnerApi } from './api.ts';
import type { Log } from './log.ts';
import type { Mask } from './mask.ts';
import type { Environment } from './process.ts';
import type { RunnerPaths } from './settings.ts';
import type { CheckedOut } from './source.ts';

/** What came of the work: the words, and whether it succeeded. */
export interface Outcome {
  succeeded: boolean;
  report: RunnerReport;
}

/** What a tool works on. */
export interface WorkPlace {
  task: RunnerTask;
  code: CheckedOut;
  /** For the tool; with what git needs to reach the same forge. */
  env: Environment;
  /** A folder of our own, outside of the code. */
  folder: string;
  paths: RunnerPaths;
  /** As the operator gave it; its first part says who we are. */
  grant: string;
  api: RunnerApi;
  log: Log;
  mask: Mask;
  /** Somebody asked the step to stop. */
  stop: AbortSignal;
}

/** What a tool does with the code. */
export type Work = (place: WorkPlace) => Promise<Outcome>;
