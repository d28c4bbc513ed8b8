import { projectSpec } from '../../api/project.ts';
import { type WorkflowSpec, workflowSpec } from '../../api/workflow.ts';
import { calledBy, cycleProblems } from '../../engine/chain.ts';
import { compile } from '../../engine/graph.ts';
import { listSteps } from '../../engine/listed.ts';
import type { Problem } from '../../engine/model.ts';
import { schemaProblems } from '../../engine/spec-problems.ts';
import { stepTypes } from '../../steps/index.ts';
import { triggerProblems } from '../../triggers/index.ts';
import type { MayDo } from './access.ts';
import { changesOf, deniedChanges, type Plural, requestsOf } from './changes.ts';
import { type AdmissionRequest, forbidden, invalid, type Verdict } from './review.ts';
import type { Workflows } from './run-spec.ts';
import { type NamedSecret, secretsOfProject, secretsOfWorkflow, secretWarnings } from './secrets.ts';
import { deniedUses, usesOfProject, usesOfWorkflow } from './uses.ts';

/** What is known of the other objects of a namespace. */
export interface Neighbours extends Workflows {
  hasProject(namespace: string, name: string): boolean;
  /** Undefined when it is not there. */
  findSecret(namespace: string, name: string): Promise<{ isForUse: boolean } | undefined>;
}

/** Judges a Workflow that somebody writes: what is wrong with it, and whether they may. */
export async function reviewWorkflow(
  request: AdmissionRequest,
  mayDo: MayDo,
  neighbours: Neighbours,
): Promise<Verdict> {
  const denied = await deniedParts('workflows', request, mayDo);
  if (denied) return denied;
  if (!isSpecNew(request)) return { allowed: true };
  const { object, namespace, userInfo } = request;
  const compiled = compile(object.spec, stepTypes);
  const parsed = workflowSpec.safeParse(object.spec);
  if (!parsed.success) return invalid(schemaProblems(parsed.error));
  const specOf = (name: string) => neighbours.workflowSpec(namespace, name);
  const cycles = cycleProblems(object.metadata.name ?? '', parsed.data, specOf);
  const problems = [...(compiled.ok ? [] : compiled.problems), ...cycles, ...triggerProblems(parsed.data)];
  if (problems.length > 0) return invalid(problems);
  const uses = await deniedUses(usesOfWorkflow(parsed.data), mayDo, userInfo.username);
  if (uses.length > 0) return forbidden(uses);
  const secrets = await missingSecrets(secretsOfWorkflow(parsed.data), request, neighbours);
  return {
    allowed: true,
    warnings: [...warningsOf(parsed.data, namespace, neighbours), ...secrets].map(textOf),
  };
}

/** Judges a Project that somebody writes. What is wrong with it, its schema says. */
export async function reviewProject(
  request: AdmissionRequest,
  mayDo: MayDo,
  neighbours: Neighbours,
): Promise<Verdict> {
  const denied = await deniedParts('projects', request, mayDo);
  if (denied) return denied;
  if (!isSpecNew(request)) return { allowed: true };
  const parsed = projectSpec.safeParse(request.object.spec);
  if (!parsed.success) return invalid(schemaProblems(parsed.error));
  const uses = await deniedUses(usesOfProject(parsed.data), mayDo, request.userInfo.username);
  if (uses.length > 0) return forbidden(uses);
  const warnings = await missingSecrets(secretsOfProject(parsed.data), request, neighbours);
  return { allowed: true, warnings: warnings.map(textOf) };
}

/** The refusal, when somebody changes more than they may. */
async function deniedParts(
  plural: Plural,
  { object, oldObject, userInfo }: AdmissionRequest,
  mayDo: MayDo,
): Promise<Verdict | undefined> {
  const changes = oldObject ? changesOf(plural, oldObject, object) : requestsOf(plural, object);
  const name = oldObject ? object.metadata.name : undefined;
  const problems = await deniedChanges(changes, mayDo, { plural, name, who: userInfo.username });
  return problems.length > 0 ? forbidden(problems) : undefined;
}

/** A generation never changes: what was judged once is not judged again. */
function isSpecNew({ object, oldObject }: AdmissionRequest): boolean {
  return !oldObject || changesOf('workflows', oldObject, object).some(({ field }) => field === 'spec');
}

const textOf = ({ field, message }: Problem): string => `${field}: ${message}`;

/** Nothing depends on a warning: when the API server gives no answer, there is none. */
function missingSecrets(
  secrets: readonly NamedSecret[],
  { namespace }: AdmissionRequest,
  neighbours: Neighbours,
): Promise<Problem[]> {
  return secretWarnings(secrets, (name) => neighbours.findSecret(namespace, name)).catch(() => []);
}

/** What may be right in a moment, when the other object is applied too. */
function warningsOf(spec: WorkflowSpec, namespace: string, neighbours: Neighbours): Problem[] {
  const called = calledBy(spec).flatMap(({ field, called: name }) => {
    if (neighbours.workflowSpec(namespace, name)) return [];
    return [{ field: `${field}.workflow.name`, message: `there is no workflow ${name} yet` }];
  });
  const projects = listSteps(spec).flatMap(({ field, spec: { terraform, ansible } }) => {
    const name = (terraform ?? ansible)?.project;
    // A template has no name before the run.
    if (name === undefined || name.includes('${{') || neighbours.hasProject(namespace, name)) return [];
    const member = terraform ? 'terraform' : 'ansible';
    return [{ field: `${field}.${member}.project`, message: `there is no project ${name} yet` }];
  });
  return [...called, ...projects];
}
