import { createHash } from 'node:crypto';
import { parseDuration } from '../api/common.ts';
import type { ProjectSpec } from '../api/project.ts';
import { RUNNER_PATHS, type TerraformTask } from '../api/runner.ts';
import { type FinallyStep, gracePeriodOf, type Step } from '../api/step.ts';
import type { TerraformStep } from '../api/terraform-step.ts';
import { resolvedJson } from './json-templates.ts';
import { claimMount, projectProgram } from './project-program.ts';
import { sourceOf } from './source.ts';
import {
  type AttemptGrant,
  type JobStepType,
  type Mount,
  type Program,
  type ProgramContext,
  ProgramError,
} from './step-type.ts';

const DEFAULT_STATE_VERSIONS = 20;

type Terraform = NonNullable<ProjectSpec['terraform']>;

/** Plans and applies a Project; everything happens in the runner. */
export const terraform: JobStepType = {
  kind: 'Job',

  resolve(spec, { text, scalar }) {
    const step = terraformOf(spec);
    const { project, plan, vars } = step;
    const resolvedVars = Object.entries(vars ?? {}).map(([name, value]) => {
      return [name, resolvedJson(`terraform.vars.${name}`, value, scalar)] as const;
    });
    return {
      ...spec,
      terraform: {
        ...step,
        project: text('terraform.project', project),
        ...(plan === undefined ? {} : { plan: text('terraform.plan', plan) }),
        ...(vars ? { vars: Object.fromEntries(resolvedVars) } : {}),
      },
    };
  },

  program(spec, context) {
    const step = terraformOf(spec);
    const project = context.project(step.project);
    return programOf(spec, step, { project, settings: project.terraform ?? {} }, context);
  },
};

function terraformOf(spec: Step | FinallyStep): TerraformStep {
  if (spec.terraform) return spec.terraform;
  throw new TypeError(`step ${spec.name} is no terraform step`);
}

interface Setting {
  project: ProjectSpec;
  settings: Terraform;
}

function programOf(
  spec: Step | FinallyStep,
  step: TerraformStep,
  { project, settings }: Setting,
  context: ProgramContext,
): Program {
  const task = taskOf(step, { project, settings }, context);
  const { engine } = task;
  return projectProgram(
    project,
    {
      task: { terraform: task },
      grant: grantOf(step, task, project),
      image: settings.image ?? context.images[engine],
      secrets: Object.fromEntries(
        Object.entries(settings.varsFrom ?? {}).map(([name, key]) => [`TF_VAR_${name}`, key]),
      ),
      mounts: mountsOf(settings),
      gracePeriodSeconds: Math.ceil(gracePeriodOf(spec) / 1000),
      ...(step.action === 'plan' ? {} : { keepOnNode: true }),
    },
    context,
  );
}

function taskOf(step: TerraformStep, { project, settings }: Setting, context: ProgramContext): TerraformTask {
  const { providerMirror } = settings;
  const workspace = step.workspace ?? settings.workspace ?? 'default';
  const plan = step.plan === undefined ? undefined : planOf(step.plan, context);
  return {
    action: step.action,
    engine: settings.engine ?? 'opentofu',
    ...(settings.version === undefined ? {} : { version: settings.version }),
    workspace,
    state: settings.state ?? 'managed',
    vars: { ...settings.vars, ...step.vars },
    varFiles: settings.varFiles ?? [],
    targets: step.targets ?? [],
    destroy: step.action === 'destroy' || step.destroy === true,
    lockTimeout: `${Math.ceil(parseDuration(settings.lockTimeout ?? '5m') / 1000)}s`,
    ...(providerMirror ? { mirror: mirrorOf(providerMirror) } : {}),
    pluginCache: settings.pluginCache !== undefined,
    ...(plan ? { plan } : {}),
    projectHash: hashOf(project),
  };
}

/** @throws {ProgramError} PlanMissing */
function planOf(row: string, { terraformOf }: ProgramContext): NonNullable<TerraformTask['plan']> {
  const { digest, commit } = terraformOf(row) ?? {};
  if (digest !== undefined && commit !== undefined) return { row, digest, commit };
  throw new ProgramError('PlanMissing', `There is no plan of ${row} in this run that could be carried out.`);
}

function mirrorOf({ path, url, claim }: NonNullable<Terraform['providerMirror']>) {
  if (url !== undefined) return { network: url };
  return { filesystem: claim === undefined ? (path ?? '') : RUNNER_PATHS.mirror };
}

function mountsOf({ providerMirror, pluginCache }: Terraform): Mount[] {
  const { claim } = providerMirror ?? {};
  return [
    ...(claim === undefined ? [] : [claimMount('mirror', claim, RUNNER_PATHS.mirror)]),
    ...(pluginCache
      ? [{ ...claimMount('plugins', pluginCache.claim, RUNNER_PATHS.pluginCache), writable: true as const }]
      : []),
  ];
}

function grantOf(step: TerraformStep, task: TerraformTask, project: ProjectSpec): AttemptGrant {
  return {
    project: step.project,
    source: sourceOf(project),
    workspace: task.workspace,
    managed: task.state === 'managed',
    stateVersions: project.terraform?.stateVersions ?? DEFAULT_STATE_VERSIONS,
    action: step.action,
    ...(task.plan ? { plan: { row: task.plan.row, digest: task.plan.digest } } : {}),
  };
}

/** Stands for all that a Project says which a plan depends on. */
function hashOf({ git, terraform, serviceAccountName, env, secrets, caBundle }: ProjectSpec): string {
  const said = JSON.stringify([git, terraform, serviceAccountName, env, secrets, caBundle]);
  return createHash('sha256').update(said).digest('hex');
}
