import * as z from 'zod';
import { checks, duration, expression, name, parseDuration } from './common.ts';
import { ansibleStep } from './ansible-step.ts';
import { APPROVAL_TIMEOUT, approvalStep } from './approval-step.ts';
import { podSettings } from './pod-settings.ts';
import { conditionStep } from './condition-step.ts';
import { forEach } from './for-each.ts';
import { httpStep } from './http-step.ts';
import { retry } from './retry.ts';
import { scriptStep } from './script-step.ts';
import { slackStep } from './slack-step.ts';
import { terraformStep } from './terraform-step.ts';
import { workflowStep } from './workflow-step.ts';

const task = {
  name: name('step'),
  terraform: terraformStep.optional(),
  ansible: ansibleStep.optional(),
  script: scriptStep.optional(),
  http: httpStep.optional(),
  slack: slackStep.optional(),
  workflow: workflowStep.optional(),
  forEach: forEach.optional(),
};

const conduct = {
  when: expression(
    'Runs the step only if this is true; otherwise the step is Skipped, and those after it go on as if it had succeeded. It sees params, trigger, run, workflow, and of earlier steps the phase, outputs and summary, and what a Terraform or Ansible step did as terraform and ansible, for example int(steps.count.outputs.nodes) > 3. Default: true.',
  ).optional(),
  timeout: duration(
    'How long one attempt may run before it is stopped and fails. Default: 1h for terraform, ansible and script, 1m for http, 5m for slack, no limit for a workflow.',
  ).optional(),
  retry: retry.optional(),
  continueOnError: z.boolean().optional().meta({
    description:
      'Forgives a failure: the step is shown as Failed, and the run goes on as if it had succeeded. Default false.',
  }),
  pod: podSettings.optional().meta({
    description: 'Settings of the pod of this step. Each one that is set replaces that of podDefaults.',
  }),
};

/** The members of a step of which exactly one is set: what the step does. */
export const STEP_TYPES = [
  'terraform',
  'ansible',
  'script',
  'approval',
  'condition',
  'http',
  'slack',
  'workflow',
] as const;
export type StepTypeName = (typeof STEP_TYPES)[number];

/** How long one attempt may take of a step that names no `timeout`; a run has limits of its own. */
const DEFAULT_TIMEOUTS: Partial<Record<StepTypeName, string>> = {
  terraform: '1h',
  ansible: '1h',
  script: '1h',
  http: '1m',
  // Slack may ask for a wait of a minute before it takes a message.
  slack: '5m',
};

/** Those of `finally`, whose steps run one after the other in any case: nothing there depends on a decision. */
const FINALLY_TYPES = STEP_TYPES.filter((type) => type !== 'condition' && type !== 'approval');

const exactlyOneOf = (types: readonly StepTypeName[]) => ({
  rule: `[${types.map((type) => `has(self.${type})`).join(', ')}].filter(x, x).size() == 1`,
  message: `must set exactly one of these, to say what the step does: ${types.join(', ')}`,
  culprit: 'self.name',
});

const notForEach = {
  rule: '!has(self.condition) || !has(self.forEach)',
  message:
    'is a condition, which can not have forEach: a branch is taken once. Put forEach on the steps in it',
  culprit: 'self.name',
  fieldPath: '.forEach',
};

/** What tries again, forgives or multiplies would make the answer of people into something else. */
const notOfApproval = {
  rule: '!has(self.approval) || !(has(self.forEach) || has(self.retry) || has(self.timeout) || has(self.continueOnError))',
  message:
    'is an approval, which can not have forEach, retry, timeout or continueOnError: how long it waits is approval.timeout, and what follows a rejection is approval.onReject',
  culprit: 'self.name',
  fieldPath: '.approval',
};

const notItself = {
  rule: '!has(self.dependsOn) || !(self.name in self.dependsOn)',
  message: 'can not wait for itself: remove it from dependsOn',
  culprit: 'self.name',
  fieldPath: '.dependsOn',
};

/** A step of the main graph. */
export const step = z
  .strictObject({
    ...task,
    approval: approvalStep.optional(),
    condition: conditionStep.optional(),
    dependsOn: z
      .array(z.string().max(63).meta({ description: 'Name of a step.' }))
      .max(256)
      .optional()
      .meta({
        description:
          'Names of the steps that must have ended before this one starts. Default: the step before it in the list. Steps that wait for the same step, or for none ([]), run in parallel.',
        'x-kubernetes-list-type': 'set',
      }),
    runIf: z.enum(['Success', 'Failure', 'Always']).optional().meta({
      description:
        'Whether the step runs after a failure. Success: only if nothing in the run has failed so far. Failure: only if a step before it failed, directly or further up. Always: in any case. Default Success.',
    }),
    ...conduct,
  })
  .meta({
    description: 'A step of the pipeline.',
    ...checks(exactlyOneOf(STEP_TYPES), notForEach, notOfApproval, notItself),
  });
export type Step = z.infer<typeof step>;

/** A step that runs at the end of every run. */
export const finallyStep = z
  .strictObject({ ...task, ...conduct })
  .meta({ description: 'A step that runs at the end of every run.', ...checks(exactlyOneOf(FINALLY_TYPES)) });
export type FinallyStep = z.infer<typeof finallyStep>;

/** What a step does: the one of its members that says so. The schema makes sure that there is exactly one. */
export function stepTypeOf(step: Step | FinallyStep): StepTypeName {
  const members: Partial<Record<StepTypeName, unknown>> = step;
  return STEP_TYPES.find((type) => members[type] !== undefined) ?? STEP_TYPES[0];
}

/** How long one attempt of a step may take, in milliseconds; infinite when nothing limits it. */
export function timeoutOf(step: Step | FinallyStep): number {
  if ('approval' in step && step.approval) return parseDuration(step.approval.timeout ?? APPROVAL_TIMEOUT);
  const timeout = step.timeout ?? DEFAULT_TIMEOUTS[stepTypeOf(step)];
  return timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration(timeout);
}

/** What Kubernetes gives a container by itself to end. */
const DEFAULT_GRACE = '30s';

/** How long an attempt of a step may take to end in good order once it is stopped, in milliseconds. */
export function gracePeriodOf({ terraform, ansible }: Step | FinallyStep): number {
  if (terraform) return parseDuration(terraform.gracePeriod ?? '10m');
  return parseDuration(ansible?.gracePeriod ?? DEFAULT_GRACE);
}
