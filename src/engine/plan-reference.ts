import type { FinallyStep, Step } from '../api/step.ts';
import type { TerraformStep } from '../api/terraform-step.ts';
import type { Problem } from './model.ts';
import type { Scope } from './references.ts';
import { didYouMean } from './suggest.ts';

type AnyStep = Step | FinallyStep;

/** What `plan` of a Terraform step names: a step, and the key of one of its instances; null when only a run knows it. */
export interface PlanReference {
  step: string;
  key?: string | null;
}

/** Reads `plan`, `plan[us]` or `plan[${{ item }}]`; undefined when only a run knows which step it names. */
export function readPlan(text: string): PlanReference | undefined {
  const [, step, key] = /^([a-z0-9-]+)(?:\[(.+)\])?$/s.exec(text) ?? [];
  if (step === undefined) return undefined;
  if (key === undefined) return { step };
  return { step, key: key.includes('${{') ? null : key };
}

/**
 * What is wrong with the plan that a Terraform step carries out, as far as the workflow alone tells.
 *
 * @param scope what the step can read
 * @param field path of the step
 */
export function planProblems(
  { name, terraform }: AnyStep,
  steps: readonly AnyStep[],
  scope: Scope,
  field: string,
): Problem[] {
  if (terraform?.plan === undefined) return [];
  const at = `${field}.terraform.plan`;
  const reference = readPlan(terraform.plan);
  if (!reference) {
    if (terraform.plan.includes('${{')) return [];
    return [{ field: at, message: `is "${terraform.plan}": write the name of a step, as plan or plan[us]` }];
  }
  const planner = steps.find((step) => step.name === reference.step);
  const message =
    stepProblem(reference.step, planner?.terraform, scope) ??
    (planner && (keyProblem(reference, planner) ?? matchProblem(name, terraform, planner)));
  return message === undefined ? [] : [{ field: at, message }];
}

function stepProblem(name: string, plan: TerraformStep | undefined, scope: Scope): string | undefined {
  if (!scope.steps.has(name)) return `names ${name}, which is no step.${didYouMean(name, scope.steps)}`;
  if (plan?.action !== 'plan')
    return `names ${name}, which makes no plan: name a step with terraform.action: plan`;
  if (scope.before.has(name)) return undefined;
  return `names ${name}, which need not have ended when this step starts: add ${name} to dependsOn`;
}

function keyProblem({ step, key }: PlanReference, { forEach }: AnyStep): string | undefined {
  if (!forEach) {
    return key === undefined
      ? undefined
      : `names an instance of ${step}, which has no forEach: write ${step}`;
  }
  if (key === undefined) return `names ${step}, which makes one plan for each item: name one, as ${step}[us]`;
  const keys = forEach.key === undefined ? (forEach.items ?? []) : [];
  // Items that are no words get numbers as keys, and those of an expression are known in the run.
  if (key === null || keys.length === 0 || !keys.every((item) => typeof item === 'string')) return undefined;
  if (keys.includes(key) || /^[0-9]+$/.test(key)) return undefined;
  return `names ${step}[${key}], and the items of ${step} are ${keys.join(', ')}`;
}

function matchProblem(name: string, step: TerraformStep, { name: planName, terraform: plan }: AnyStep) {
  const isTemplate = step.project.includes('${{') || plan?.project.includes('${{');
  if (!isTemplate && plan?.project !== step.project) {
    return `names ${planName}, which plans project ${plan?.project}, and ${name} works on ${step.project}: they must be the same`;
  }
  const destroys = plan?.destroy === true;
  if (step.action === 'destroy' && !destroys) {
    return `names ${planName}, which plans no destruction: set destroy: true there`;
  }
  if (step.action === 'apply' && destroys) {
    return `names ${planName}, which plans a destruction: use action: destroy to carry that out`;
  }
  return undefined;
}
