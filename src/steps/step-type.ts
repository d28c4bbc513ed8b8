import type { EnvVar } from 'kubernetes-types/core/v1.d.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import type { StepResolver } from '../engine/model.ts';

/** What a step runs in its container; everything around it is the same for all steps and made in `job.ts`. */
export interface Program {
  image: string;
  command: string[];
  env: EnvVar[];
}

/** Images that steps run in unless they name their own. */
export interface Images {
  script: string;
}

/** A type of step: how its templates are filled in, and what it runs. */
export interface StepType extends StepResolver {
  /** @param spec the step with its templates replaced by their values */
  program(spec: Step | FinallyStep, images: Images): Program;
}
