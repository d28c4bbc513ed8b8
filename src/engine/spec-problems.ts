import type * as z from 'zod';
import { parseDuration } from '../api/common.ts';
import { type FinallyStep, STEP_TYPES, type Step } from '../api/step.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import type { Problem } from './model.ts';
import { checkParam } from './params.ts';

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LONGEST_DURATION = '8760h';
/** Each attempt takes room in the status of a run, which the API server bounds. */
const MAX_RETRIES = 1000;

/** What keeps a value from being a workflow at all, in the words of people who write YAML. */
export function schemaProblems(error: z.ZodError): Problem[] {
  return error.issues.map((issue) => ({
    field: ['spec', ...issue.path].reduce<string>(pathOf, ''),
    message: schemaMessage(issue),
  }));
}

function pathOf(path: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  return path === '' ? String(key) : `${path}.${String(key)}`;
}

function schemaMessage(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `has no field ${issue.keys.join(', ')}: correct or remove it`;
  if (issue.code === 'too_big') return `must be at most ${String(issue.maximum)} (long)`;
  if (issue.code === 'too_small') return `must be at least ${String(issue.minimum)} (long)`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  return issue.message;
}

/** Names that are no DNS labels or taken twice, and steps that do not do exactly one thing. */
export function nameProblems(spec: WorkflowSpec): Problem[] {
  const firsts = new Map<string, string>();
  return stepsOf(spec).flatMap(({ step, field }) => {
    const members: Partial<Record<string, unknown>> = step;
    const types = STEP_TYPES.filter((type) => members[type] !== undefined);
    const problems: Problem[] = [];
    const report = (at: string, message: string) => problems.push({ field: `${field}${at}`, message });
    if (!NAME.test(step.name)) {
      report(
        '.name',
        `is "${step.name}": use lower-case letters, digits and "-", and begin and end without "-"`,
      );
    }
    const first = firsts.get(step.name);
    if (first === undefined) firsts.set(step.name, field);
    else report('.name', `is ${step.name}, as is that of ${first}: each step needs a name of its own`);
    if (types.length !== 1)
      report('', `must set exactly one of ${STEP_TYPES.join(', ')}: it says what the step does`);
    return problems;
  });
}

/** Durations that are none, or longer than a year. */
export function durationProblems(spec: WorkflowSpec): Problem[] {
  const found: [string, string | undefined][] = [
    ['spec.timeout', spec.timeout],
    ['spec.podDefaults.pendingTimeout', spec.podDefaults?.pendingTimeout],
    ...stepsOf(spec).flatMap(({ step, field }): [string, string | undefined][] => [
      [`${field}.timeout`, step.timeout],
      [`${field}.approval.timeout`, approvalOf(step)?.timeout],
      [`${field}.retry.backoff.initial`, step.retry?.backoff?.initial],
      [`${field}.retry.backoff.max`, step.retry?.backoff?.max],
      [`${field}.pod.pendingTimeout`, step.pod?.pendingTimeout],
    ]),
  ];
  return found.flatMap(([field, text]) =>
    text === undefined || isDuration(text)
      ? []
      : [{ field, message: `is "${text}": write a duration of at most a year such as 30s, 5m or 1h30m` }],
  );
}

/** Form fields of approvals whose declarations contradict themselves, or share a name. */
export function fieldProblems(spec: WorkflowSpec): Problem[] {
  return stepsOf(spec).flatMap(({ step, field }) => {
    const fields = approvalOf(step)?.fields ?? [];
    return fields.flatMap((one, index) => {
      const at = `${field}.approval.fields[${index}]`;
      const isSecond = fields.findIndex(({ name }) => name === one.name) < index;
      const second = `is ${one.name}, as is that of another field: each needs a name of its own`;
      return [...(isSecond ? [{ field: `${at}.name`, message: second }] : []), ...checkParam(one, at)];
    });
  });
}

/** Settings of steps that would make the answer of people into something else. */
export function approvalProblems(spec: WorkflowSpec): Problem[] {
  return stepsOf(spec).flatMap(({ step, field }) => {
    if (!approvalOf(step)) return [];
    const { forEach, retry, timeout, continueOnError } = step;
    const given = Object.entries({ forEach, retry, timeout, continueOnError });
    return given.flatMap(([name, value]) =>
      value === undefined
        ? []
        : [{ field: `${field}.${name}`, message: `is not for an approval: ${INSTEAD[name] ?? 'remove it'}` }],
    );
  });
}

const INSTEAD: Record<string, string> = {
  timeout: 'how long it waits is approval.timeout',
  continueOnError: 'what follows a rejection is approval.onReject',
};

const approvalOf = (step: Step | FinallyStep) => ('approval' in step ? step.approval : undefined);

/** Retries whose record would not fit into the status of a run. */
export function retryProblems(spec: WorkflowSpec): Problem[] {
  const retries = stepsOf(spec).reduce((sum, { step }) => sum + (step.retry?.limit ?? 0), 0);
  if (retries <= MAX_RETRIES) return [];
  const message = `allow ${retries} retries in all, and at most ${MAX_RETRIES} can be recorded: lower retry.limit`;
  return [{ field: 'spec.steps', message }];
}

function isDuration(text: string): boolean {
  return /^([0-9]+(ms|s|m|h))+$/.test(text) && parseDuration(text) <= parseDuration(LONGEST_DURATION);
}

function stepsOf(spec: WorkflowSpec): { step: Step | FinallyStep; field: string }[] {
  return [
    ...spec.steps.map((step, index) => ({ step, field: `spec.steps[${index}]` })),
    ...(spec.finally ?? []).map((step, index) => ({ step, field: `spec.finally[${index}]` })),
  ];
}
