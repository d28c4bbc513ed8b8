import type { StepTypeName } from '../api/step.ts';
import { ansible } from './ansible.ts';
import { approval } from './approval.ts';
import { condition } from './condition.ts';
import { http } from './http.ts';
import { script } from './script.ts';
import { createSlack } from './slack.ts';
import type { StepType } from './step-type.ts';
import { terraform } from './terraform.ts';
import { workflow } from './workflow.ts';

/** Slack's own Web API. */
export const SLACK_API_URL = 'https://slack.com/api';

/** Every type of step, by the member of a step that chooses it. */
export const createStepTypes = ({ slackApiUrl }: { slackApiUrl: string }): StepTypes => ({
  terraform,
  ansible,
  script,
  approval,
  condition,
  http,
  slack: createSlack({ apiUrl: slackApiUrl }),
  workflow,
});
export type StepTypes = Readonly<Record<StepTypeName, StepType>>;

/** The same for those who read what a step says, and call nobody. */
export const stepTypes = createStepTypes({ slackApiUrl: SLACK_API_URL });

export type { Images } from './step-type.ts';
