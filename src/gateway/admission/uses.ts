import type { ProjectSpec } from '../../api/project.ts';
import type { WorkflowSpec } from '../../api/workflow.ts';
import { GROUP } from '../../api/common.ts';
import { listSteps } from '../../engine/listed.ts';
import type { Problem } from '../../engine/model.ts';
import { type MayDo, type Right, rightText } from './access.ts';
import { type NamedSecret, secretsOfWorkflow } from './secrets.ts';

// Whoever writes a workflow has its steps do what they could not do themselves, unless they are asked for the same rights.

/** Something that a workflow or a project has the operator or a pod use, and the right that this takes of its author. */
export interface Use {
  /** Path of the field, for example `spec.steps[2].pod.serviceAccountName`. */
  field: string;
  /** What it is, for example `service account deployer`. */
  what: string;
  right: Right;
}

const PODS: Right = { verb: 'create', group: '', resource: 'pods' };

const pods: Use = { field: 'spec', what: 'pods of this namespace, which its steps run in,', right: PODS };

const RUNS: Right = { verb: 'create', group: GROUP, resource: 'workflowruns' };

/** What a workflow uses. */
export function usesOfWorkflow(spec: WorkflowSpec): Use[] {
  const accounts = listSteps(spec).flatMap(({ field, spec: { pod } }) =>
    accountUse(pod?.serviceAccountName, `${field}.pod`),
  );
  const secrets = secretsOfWorkflow(spec).filter(({ readBy }) => readBy === 'Operator');
  const triggers = (spec.triggers ?? []).map((_, index) => {
    return { field: `spec.triggers[${index}]`, what: 'runs, which it starts,', right: RUNS };
  });
  return [
    pods,
    ...triggers,
    ...accountUse(spec.podDefaults?.serviceAccountName, 'spec.podDefaults'),
    ...accounts,
    ...secrets.map(secretUse),
  ];
}

/** What a project uses. Its Secrets are read by the kubelet, for pods that its author may create. */
export const usesOfProject = ({ serviceAccountName }: ProjectSpec): Use[] => [
  pods,
  ...accountUse(serviceAccountName, 'spec'),
];

/** Who may ask for a token of the account can do everything that a pod with its token can. */
function accountUse(name: string | undefined, field: string): Use[] {
  if (name === undefined) return [];
  const right = { verb: 'create', group: '', resource: 'serviceaccounts', subresource: 'token', name };
  return [{ field: `${field}.serviceAccountName`, what: `the service account ${name}`, right }];
}

/** The operator reads it for the step, and may send it anywhere. */
function secretUse({ name, field }: NamedSecret): Use {
  return { field, what: `the Secret ${name}`, right: { verb: 'get', group: '', resource: 'secrets', name } };
}

/** The uses that take rights which the author does not have. */
export async function deniedUses(uses: readonly Use[], mayDo: MayDo, who: string): Promise<Problem[]> {
  const judged = await Promise.all(uses.map(async (use) => ((await mayDo(use.right)) ? [] : [use])));
  return judged.flat().map(({ field, what, right }) => ({
    field,
    message: `uses ${what} and ${who} may not: that takes the right to ${rightText(right)}`,
  }));
}
