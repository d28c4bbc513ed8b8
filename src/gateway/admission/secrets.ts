import type { PodSettings } from '../../api/pod-settings.ts';
import type { ProjectSpec } from '../../api/project.ts';
import { DEFAULT_TOKEN } from '../../api/slack-step.ts';
import type { FinallyStep, Step } from '../../api/step.ts';
import type { WorkflowSpec } from '../../api/workflow.ts';
import { listSteps } from '../../engine/listed.ts';
import type { Problem } from '../../engine/model.ts';
import { USE_LABEL } from '../../steps/labels.ts';

/** A Secret that a workflow or a project names. */
export interface NamedSecret {
  /** Path of the field, for example `spec.steps[2].slack.token`. */
  field: string;
  name: string;
  /** The operator may send what it reads anywhere, and reads only Secrets with a label. */
  readBy: 'Operator' | 'Kubelet';
}

/** Whether it is there, and carries the label by which the operator may read it. What is in it is not read. */
export type FindSecret = (name: string) => Promise<{ isForUse: boolean } | undefined>;

/** The Secrets that a workflow names. */
export function secretsOfWorkflow(spec: WorkflowSpec): NamedSecret[] {
  const steps = listSteps(spec).flatMap(({ field, spec: step }) => secretsOfStep(step, field));
  const notifications = Object.entries(spec.notifications ?? {}).flatMap(([event, entries]) =>
    (entries ?? []).flatMap(({ slack }, index) =>
      secretsOfSlack(slack, `spec.notifications.${event}[${index}].slack`),
    ),
  );
  return [...secretsOfPod(spec.podDefaults, 'spec.podDefaults'), ...steps, ...notifications];
}

/** The Secrets that a project names. */
export function secretsOfProject({ git, terraform, ansible, secrets, caBundle }: ProjectSpec): NamedSecret[] {
  return kubelets({
    'spec.git.credentials': git.credentials,
    ...below('spec.terraform.varsFrom', terraform?.varsFrom),
    'spec.ansible.credentials': ansible?.credentials,
    'spec.ansible.vault': ansible?.vault,
    ...below('spec.secrets', secrets),
    'spec.caBundle.secret': caBundle?.secret,
  });
}

type References = Record<string, { name: string } | undefined>;

const below = (field: string, references: References = {}): References =>
  Object.fromEntries(Object.entries(references).map(([key, reference]) => [`${field}.${key}`, reference]));

const readIn =
  (readBy: NamedSecret['readBy']) =>
  (references: References): NamedSecret[] =>
    Object.entries(references).flatMap(([field, reference]) =>
      reference ? [{ field, name: reference.name, readBy }] : [],
    );
const kubelets = readIn('Kubelet');
const operators = readIn('Operator');

function secretsOfStep({ pod, script, http, slack }: Step | FinallyStep, field: string): NamedSecret[] {
  return [
    ...secretsOfPod(pod, `${field}.pod`),
    ...kubelets(below(`${field}.script.secrets`, script?.secrets)),
    ...operators({
      ...below(`${field}.http.secretHeaders`, http?.secretHeaders),
      [`${field}.http.caFrom.secret`]: http?.caFrom?.secret,
    }),
    ...(slack ? secretsOfSlack(slack, `${field}.slack`) : []),
  ];
}

function secretsOfSlack({ token, webhook }: NonNullable<Step['slack']>, field: string): NamedSecret[] {
  if (webhook) return operators({ [`${field}.webhook`]: webhook });
  return operators({ [`${field}.token`]: token ?? DEFAULT_TOKEN });
}

function secretsOfPod(pod: PodSettings | undefined, field: string): NamedSecret[] {
  const pulls = pod?.imagePullSecrets ?? [];
  return kubelets(
    Object.fromEntries(pulls.map((pull, index) => [`${field}.imagePullSecrets[${index}]`, pull])),
  );
}

/** What may be right in a moment, when the Secret is applied or labelled too: told once for each Secret. */
export async function secretWarnings(secrets: readonly NamedSecret[], find: FindSecret): Promise<Problem[]> {
  const byName = Map.groupBy(secrets, ({ name }) => name);
  const warnings = await Promise.all(
    [...byName].map(async ([name, uses]): Promise<Problem[]> => {
      const found = await find(name);
      const [first] = uses;
      if (!found && first) return [{ field: first.field, message: `there is no Secret ${name} yet` }];
      const read = uses.find(({ readBy }) => readBy === 'Operator');
      if (!read || found?.isForUse) return [];
      const message = `Secret ${name} may not be read for steps yet: kubectl label secret ${name} ${USE_LABEL}=true`;
      return [{ field: read.field, message }];
    }),
  );
  return warnings.flat();
}
